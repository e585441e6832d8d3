/** The picture that stays in the notebook's file: sent to the kernel when the view has been at rest for a moment. */
import type { Parts } from "./dom.js";

const REST_MS = 1500;
const WIDEST = 640;

export class KeptPicture {
  private timer = 0;

  constructor(
    private readonly parts: Parts,
    private readonly send: (png: ArrayBuffer) => void,
    over: AbortSignal,
  ) {
    over.addEventListener("abort", () => clearTimeout(this.timer));
    // What is shown full screen would leave that when its output is made anew.
    document.addEventListener("fullscreenchange", () => this.later(), { signal: over });
  }

  /** The picture has changed. */
  later(): void {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.keep(), REST_MS);
  }

  private async keep(): Promise<void> {
    const { root, main } = this.parts;
    if (root.dataset["state"] !== "idle" || document.fullscreenElement === root) return;
    if (main.classList.contains("moving")) {
      this.later();
      return;
    }
    const scale = Math.min(1, WIDEST / main.width);
    const small = new OffscreenCanvas(Math.round(main.width * scale), Math.round(main.height * scale));
    const context = small.getContext("2d");
    if (!context) return;
    context.imageSmoothingQuality = "high";
    context.drawImage(main, 0, 0, small.width, small.height);
    this.send(await (await small.convertToBlob({ type: "image/png" })).arrayBuffer());
  }
}
