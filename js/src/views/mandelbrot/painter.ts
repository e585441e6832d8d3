/** The picture of the present view: on the page's GPU, or by the kernel, coarse first. */
import type { AnyModel } from "@anywidget/types";
import type { Board } from "./board.js";
import type { Coloring } from "./colors.js";
import { formatWide, log2Wide, pointTexts } from "./decimal.js";
import { directPlan } from "./direct.js";
import type { Parts } from "./dom.js";
import type { Traits } from "./explorer.js";
import type { Kernel, Request, Welcome } from "./kernel.js";
import { makeFrame, Picture } from "./picture.js";
import { type Band, type Plan, Renderer } from "./renderer.js";
import { automaticIterations, HOME, type View } from "./state.js";

export class Painter {
  view: View = HOME;
  columns = 0;
  rows = 0;
  /** How many times the usual iterations this place asked for. */
  raised = 1;
  readonly picture: Picture;
  private welcome: Welcome | null = null;
  private renderer: Renderer | null = null;
  private noGpu = "";
  private job = new AbortController();
  private wanted = 0;

  constructor(
    private readonly model: AnyModel<Traits>,
    private readonly parts: Parts,
    private readonly board: Board,
    private readonly kernel: Kernel,
    private readonly over: AbortSignal,
    coloring: () => Coloring,
    drawn: () => void,
  ) {
    this.picture = new Picture(parts.main, coloring, () => this.view, drawn);
    over.addEventListener("abort", () => {
      this.job.abort();
      this.renderer?.destroy();
    });
  }

  /** The kernel has answered. */
  async begin(welcome: Welcome): Promise<void> {
    this.welcome = welcome;
    await this.findGpu();
  }

  private async findGpu(): Promise<void> {
    if (!this.welcome || this.welcome.remote) {
      this.noGpu = "the kernel's GPU computes";
      return;
    }
    const found = await Renderer.create(this.welcome.shaders).catch((error: unknown) => String(error));
    if (typeof found === "string") {
      this.noGpu = found;
      return;
    }
    this.renderer = found;
    void found.device.lost.then(async () => {
      if (this.over.aborted || this.renderer !== found) return;
      this.renderer = null;
      this.board.note("The GPU was lost; drawing anew.");
      await this.findGpu();
      this.refresh();
    });
  }

  /** Begin the picture of the present view; the one on its way is given up. */
  refresh(): void {
    this.wanted = performance.now();
    this.job.abort();
    this.picture.draw();
    if (!this.welcome || this.columns === 0) return;
    this.job = new AbortController();
    this.board.mark("busy");
    void this.render(this.job.signal).catch((error: unknown) => {
      if (error instanceof DOMException && error.name === "AbortError") return;
      if (this.renderer === null && !this.noGpu) return; // the device is being replaced
      this.board.note(error instanceof Error ? error.message : String(error));
      this.board.mark("error");
    });
  }

  get maxIter(): number {
    const asked = this.model.get("max_iter");
    return this.model.get("auto_iterations") ? Math.min(2 ** 31 - 1024, Math.round(automaticIterations(this.view.width) * this.raised)) : asked;
  }

  request(view: View, size: readonly [number, number], maxIter: number): Request {
    return {
      center: pointTexts(view.point, view.width),
      width: formatWide(view.width),
      size,
      max_iter: maxIter,
      power: this.model.get("power"),
      julia: this.model.get("julia"),
    };
  }

  private async render(signal: AbortSignal): Promise<void> {
    const view = this.view;
    const size: [number, number] = [this.columns, this.rows];
    const maxIter = this.maxIter;
    this.board.count(maxIter);
    let text = "direct, f32";
    let plan: Plan | null = null;
    const { renderer } = this;
    if (renderer) {
      plan = directPlan(view, size, maxIter, this.model.get("power"), this.model.get("julia"));
      if (!plan) {
        this.board.say("computing the reference orbit…");
        renderer.warm(this.model.get("power"), this.model.get("julia") !== null);
        ({ plan, text } = await this.kernel.prepare(this.request(view, size, maxIter), renderer.heldKey, signal));
      }
    }
    const slow = renderer ? renderer.isFallback : true;
    let iterations = 0;
    let method = plan?.method ?? "";
    for (const coarse of slow ? [8, 4, 2, 1] : [4, 1]) {
      if (signal.aborted) return;
      const shape: [number, number] = [Math.max(1, Math.ceil(size[0] / coarse)), Math.max(1, Math.ceil(size[1] / coarse))];
      const frame = makeFrame(view, shape);
      iterations = 0;
      let far = 0;
      let escaped = 0;
      const take = (band: Band): void => {
        frame.smooth.set(band.smooth, band.first);
        for (const n of band.iterations) {
          iterations += n;
          if (n >= maxIter) continue;
          escaped++;
          if (n > 0.7 * maxIter) far++;
        }
        this.picture.took(frame, band.first, band.first + band.smooth.length, coarse);
        this.board.progress((frame.done / frame.smooth.length) * (coarse === 1 ? 1 : 0.3));
      };
      if (renderer && plan) {
        for await (const band of renderer.run(plan, coarse, signal)) {
          if (signal.aborted) return;
          take(band);
        }
      } else {
        const drawn = await this.kernel.draw(this.request(view, shape, maxIter), coarse, signal);
        ({ text, method } = drawn);
        take(drawn.band);
      }
      if (signal.aborted) return;
      this.picture.finish(frame, coarse);
      // A coarse picture tells as well; but a tiny one has few pixels to tell by.
      if (frame.smooth.length > 1000 && this.raise(frame.smooth.length, far, escaped)) return;
      if (coarse > 1 && this.parts.root.dataset["coarse"] !== String(coarse)) this.parts.root.dataset["coarse"] = String(coarse);
      this.parts.root.dataset["firstMs"] ??= "";
      if (this.parts.root.dataset["firstMs"] === "") this.parts.root.dataset["firstMs"] = (performance.now() - this.wanted).toFixed(0);
      this.board.say(`${text} · ${coarse > 1 ? `1/${coarse} size…` : ""}`);
      if (coarse === 1) this.finished(text, method, iterations);
      else if (slow) await new Promise((resolve) => setTimeout(resolve));
    }
  }

  /** Begin anew with more iterations, where the picture asks for them and nobody has chosen their number. */
  private raise(pixels: number, far: number, escaped: number): boolean {
    if (!this.model.get("auto_iterations")) return false;
    // Counts crowd under the limit: there is more to see behind it. Or nothing escapes where it is deep: perhaps all is behind it.
    const crowded = far > 0.004 * pixels && this.raised < 64;
    const nothing = escaped < 0.01 * pixels && this.raised < 16 && log2Wide(this.view.width) < -10;
    if (!crowded && !nothing) return false;
    this.raised *= 2;
    this.refresh();
    return true;
  }

  private finished(text: string, method: string, iterations: number): void {
    const seconds = (performance.now() - this.wanted) / 1000;
    const rate = iterations / seconds / 1e9;
    const adapter = this.renderer?.name ?? this.welcome?.adapter ?? "";
    this.board.say(
      `${text} · ${rate >= 0.1 ? rate.toFixed(rate < 10 ? 2 : 0) : rate.toFixed(4)} Giter/s · ${seconds < 1 ? `${(seconds * 1000).toFixed(0)} ms` : `${seconds.toFixed(1)} s`} · ${adapter}`,
    );
    this.board.progress(0);
    this.board.note("");
    this.board.mark("idle");
    this.parts.root.dataset["method"] = method;
    this.parts.root.dataset["seconds"] = seconds.toFixed(3);
    this.model.set("status", {
      state: "idle",
      method,
      text,
      adapter,
      iterations,
      seconds,
      iterations_per_second: iterations / seconds,
      size: [this.columns, this.rows],
      max_iter: this.maxIter,
      center: pointTexts(this.view.point, this.view.width),
      width: formatWide(this.view.width),
    });
    this.model.save_changes();
    this.renderer?.warm(this.model.get("power"), this.model.get("julia") !== null);
  }

  /** Fit the canvases to the cell. */
  resize(): void {
    const { stage, main, over } = this.parts;
    const box = stage.getBoundingClientRect();
    const ratio = this.renderer && !this.renderer.isFallback ? Math.min(2, devicePixelRatio || 1) : 1;
    const [columns, rows] = [Math.floor(box.width * ratio), Math.floor(box.height * ratio)];
    if (columns < 2 || rows < 2 || (columns === this.columns && rows === this.rows)) return;
    [this.columns, this.rows] = [columns, rows];
    for (const canvas of [main, over]) [canvas.width, canvas.height] = [columns, rows];
    this.refresh();
  }

  /** Pixels of the picture in a pixel of the page. */
  get pixelRatio(): number {
    return this.columns / Math.max(1, this.parts.stage.clientWidth);
  }
}
