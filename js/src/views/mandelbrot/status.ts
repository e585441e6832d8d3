/** What the explorer says of itself: status line, note on the picture, progress, state. */
import type { Parts } from "./dom.js";

export type State = "busy" | "idle" | "error";

export class StatusLine {
  constructor(private readonly parts: Parts) {}

  say(text: string): void {
    this.parts.status.textContent = this.parts.status.title = text;
  }

  note(text: string): void {
    this.parts.note.textContent = text;
  }

  progress(part: number): void {
    this.parts.progress.style.width = `${100 * part}%`;
  }

  mark(state: State): void {
    this.parts.root.dataset["state"] = state;
    this.parts.root.setAttribute("aria-busy", String(state === "busy"));
  }

  /** A fact for those who look at the page from outside. */
  fact(name: string, value: string): void {
    this.parts.root.dataset[name] = value;
  }

  count(count: number): void {
    if (document.activeElement !== this.parts.count) this.parts.count.value = String(count);
  }
}
