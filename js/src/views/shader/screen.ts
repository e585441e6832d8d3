/** One output that shows a view: its canvas, its bar, and what is wrong. */
import { excerpt, type Problem } from "./problem.js";
import css from "./view.css";

const ICONS = {
  restart: "M4 3v10M13 3L6 8l7 5z",
  play: "M4 2.5v11L13 8z",
  pause: "M5 3v10M11 3v10",
  step: "M3 3l7 5-7 5zM13 3v10",
} as const;

const LEAST_WIDTH = 170;

export interface Controls {
  restart(): void;
  toggle(): void;
  step(frames: number): void;
  /** A pointer in parts of the picture, 0 to 1 from the upper left corner. */
  pointer(kind: "down" | "move" | "up", x: number, y: number): void;
  /** Whether it can be seen has changed. */
  seen(): void;
}

function icon(name: keyof typeof ICONS): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

function element<K extends keyof HTMLElementTagNameMap>(tag: K, className: string): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = className;
  return made;
}

export class Screen {
  readonly root = element("div", "wgsv");
  canvas = element("canvas", "");
  private readonly stage = element("div", "wgsv-stage");
  private readonly noteBox = element("div", "wgsv-note");
  private readonly time = element("span", "wgsv-time");
  private readonly info = element("span", "wgsv-info");
  private readonly problemBox = element("div", "wgsv-problem");
  private readonly toggle: HTMLButtonElement;
  private readonly observer: IntersectionObserver;
  private readonly over = new AbortController();
  private intersects = false;
  private context: GPUCanvasContext | undefined;
  private shownProblem = "";

  constructor(
    place: HTMLElement,
    private readonly controls: Controls,
  ) {
    const style = document.createElement("style");
    style.textContent = css;
    const bar = element("div", "wgsv-bar");
    bar.setAttribute("role", "toolbar");
    bar.setAttribute("aria-label", "Playback");
    this.toggle = this.button("pause", "Pause (space)", () => controls.toggle());
    bar.append(
      this.button("restart", "Back to the start (Home)", () => controls.restart()),
      this.toggle,
      this.button("step", "One frame on (right arrow)", () => controls.step(1)),
      this.time,
      this.info,
    );
    this.stage.tabIndex = 0;
    this.stage.setAttribute("role", "img");
    this.stage.setAttribute("aria-label", "Shader. Keys: space plays and pauses, left and right arrow step, Home goes back to the start.");
    this.problemBox.setAttribute("role", "alert");
    this.stage.append(this.canvas, this.noteBox);
    this.root.append(style, this.stage, bar, this.problemBox);
    place.append(this.root);
    this.listen();
    this.observer = new IntersectionObserver((entries) => {
      this.intersects = entries.at(-1)?.isIntersecting ?? false;
      controls.seen();
    });
    this.observer.observe(this.stage);
  }

  private button(name: keyof typeof ICONS, label: string, act: () => void): HTMLButtonElement {
    const made = element("button", "");
    made.type = "button";
    made.title = made.ariaLabel = label;
    made.append(icon(name));
    made.addEventListener("click", act, { signal: this.over.signal });
    return made;
  }

  private listen(): void {
    const { stage, controls } = this;
    const { signal } = this.over;
    const at = (kind: "down" | "move" | "up") => (event: PointerEvent) => {
      const box = stage.getBoundingClientRect();
      controls.pointer(kind, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    };
    stage.addEventListener(
      "pointerdown",
      (event) => {
        if (event.button !== 0) return;
        stage.setPointerCapture(event.pointerId);
        at("down")(event);
      },
      { signal },
    );
    const held = (kind: "move" | "up") => (event: PointerEvent) => {
      if (stage.hasPointerCapture(event.pointerId)) at(kind)(event);
    };
    stage.addEventListener("pointermove", held("move"), { signal });
    stage.addEventListener("pointerup", held("up"), { signal });
    stage.addEventListener("pointercancel", held("up"), { signal });
    stage.addEventListener(
      "keydown",
      (event) => {
        const actions: Record<string, () => void> = {
          " ": () => controls.toggle(),
          ArrowRight: () => controls.step(1),
          ArrowLeft: () => controls.step(-1),
          Home: () => controls.restart(),
        };
        const action = actions[event.key];
        if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        event.stopPropagation();
        action();
      },
      { signal },
    );
    document.addEventListener("visibilitychange", () => controls.seen(), { signal });
  }

  /** Whether anybody can see it. */
  get visible(): boolean {
    return this.intersects && this.root.isConnected && document.visibilityState === "visible";
  }

  resize([width, height]: readonly [number, number]): void {
    // The bar has its place beside a tiny picture too.
    this.root.style.width = `${Math.max(LEAST_WIDTH, width) + 2}px`;
    this.stage.style.width = `${width}px`;
    this.stage.style.aspectRatio = `${width} / ${height}`;
  }

  // ---------------------------------------------------------------- pictures

  /** A canvas has one kind of context for ever. */
  private freshCanvas(kind: string): void {
    if ((this.canvas.dataset["kind"] ?? kind) !== kind) {
      const fresh = element("canvas", "");
      this.canvas.replaceWith(fresh);
      this.canvas = fresh;
      this.context = undefined;
    }
    this.canvas.dataset["kind"] = kind;
  }

  private fit(width: number, height: number): void {
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
  }

  /** What a GPU draws into, for this frame. */
  target(device: GPUDevice, format: GPUTextureFormat, [width, height]: readonly [number, number]): GPUTextureView | undefined {
    this.freshCanvas(`webgpu ${deviceNumber(device)}`);
    this.fit(width, height);
    if (!this.context) {
      const context = this.canvas.getContext("webgpu");
      if (!context) return undefined;
      context.configure({ device, format, alphaMode: "opaque" });
      this.context = context;
    }
    return this.context.getCurrentTexture().createView();
  }

  /** Show pixels that were read back, or came from the kernel. */
  show(picture: ImageData | ImageBitmap): void {
    this.freshCanvas("2d");
    this.fit(picture.width, picture.height);
    const context = this.canvas.getContext("2d", { alpha: false });
    if (!context) return;
    if (picture instanceof ImageBitmap) context.drawImage(picture, 0, 0);
    else context.putImageData(picture, 0, 0);
  }

  // ---------------------------------------------------------------- texts

  playing(playing: boolean): void {
    const label = playing ? "Pause (space)" : "Play (space)";
    if (this.toggle.title === label) return;
    this.toggle.replaceChildren(icon(playing ? "pause" : "play"));
    this.toggle.title = this.toggle.ariaLabel = label;
  }

  say(time: number, info: string): void {
    const text = `${time.toFixed(2)} s`;
    if (this.time.textContent !== text) this.time.textContent = text;
    if (this.info.textContent !== info) this.info.textContent = this.info.title = info;
  }

  note(text: string): void {
    if (this.noteBox.textContent !== text) this.noteBox.textContent = text;
  }

  problem(problem: Problem | undefined, source: string): void {
    const key = problem ? JSON.stringify([problem, source]) : "";
    if (key === this.shownProblem) return;
    this.shownProblem = key;
    if (!problem) {
      this.problemBox.replaceChildren();
      return;
    }
    const message = element("div", "");
    message.textContent = problem.line > 0 ? `line ${problem.line}, column ${problem.column}: ${problem.message}` : problem.message;
    const code = element("pre", "");
    code.textContent = excerpt(source, problem);
    this.problemBox.replaceChildren(message, ...(code.textContent ? [code] : []));
  }

  destroy(): void {
    this.over.abort();
    this.observer.disconnect();
    this.context?.unconfigure();
    this.root.remove();
  }
}

const devices = new WeakMap<GPUDevice, number>();
let count = 0;

function deviceNumber(device: GPUDevice): number {
  const known = devices.get(device) ?? ++count;
  devices.set(device, known);
  return known;
}
