/** Mouse, touch and keyboard on the picture, told as moves in pixels from its middle. */

export interface Moves {
  drag(dx: number, dy: number): void;
  /** Zoom by a factor (under 1: in) about (x, y). */
  zoom(factor: number, x: number, y: number): void;
  hover(x: number, y: number): void;
  leave(): void;
  holding(active: boolean): void;
  key(event: KeyboardEvent): boolean;
}

export function listen(element: HTMLElement, moves: Moves, signal: AbortSignal): void {
  const pointers = new Map<number, { x: number; y: number }>();
  const options = { signal };
  const middle = (event: { clientX: number; clientY: number }): { x: number; y: number } => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left - box.width / 2, y: event.clientY - box.top - box.height / 2 };
  };
  const spread = (): { x: number; y: number; size: number } => {
    const [a, b] = [...pointers.values()];
    if (!a) return { x: 0, y: 0, size: 1 };
    if (!b) return { ...a, size: 1 };
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, size: Math.max(8, Math.hypot(a.x - b.x, a.y - b.y)) };
  };

  element.addEventListener(
    "pointerdown",
    (event) => {
      if (event.button > 0) return;
      element.focus({ preventScroll: true });
      element.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, middle(event));
      moves.holding(true);
    },
    options,
  );
  element.addEventListener(
    "pointermove",
    (event) => {
      const now = middle(event);
      if (!pointers.has(event.pointerId)) {
        moves.hover(now.x, now.y);
        return;
      }
      const before = spread();
      pointers.set(event.pointerId, now);
      const after = spread();
      if (after.x !== before.x || after.y !== before.y) moves.drag(after.x - before.x, after.y - before.y);
      if (after.size !== before.size) moves.zoom(before.size / after.size, after.x, after.y);
    },
    options,
  );
  const release = (event: PointerEvent): void => {
    if (pointers.delete(event.pointerId) && pointers.size === 0) moves.holding(false);
  };
  element.addEventListener("pointerup", release, options);
  element.addEventListener("pointercancel", release, options);
  element.addEventListener("pointerleave", () => pointers.size === 0 && moves.leave(), options);
  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      event.stopPropagation();
      const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
      const { x, y } = middle(event);
      moves.zoom(Math.exp(Math.max(-240, Math.min(240, event.deltaY * unit)) * 0.0025), x, y);
    },
    { passive: false, signal },
  );
  element.addEventListener(
    "dblclick",
    (event) => {
      event.preventDefault();
      const { x, y } = middle(event);
      moves.zoom(event.shiftKey ? 4 : 0.25, x, y);
    },
    options,
  );
  element.addEventListener(
    "keydown",
    (event) => {
      if (!event.ctrlKey && !event.metaKey && !event.altKey && moves.key(event)) {
        event.preventDefault();
        event.stopPropagation();
      }
    },
    options,
  );
}
