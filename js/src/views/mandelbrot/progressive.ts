/** The picture of the present view: on the page's GPU, or by the kernel, coarse first. */
import type { AnyModel } from "@anywidget/types";
import type { ExplorerState, ExplorerView, ExplorerWelcome } from "../../protocol.gen.js";
import type { Coloring } from "./colors.js";
import { type Frame, makeFrame, Picture } from "./compositor.js";
import { canSketch } from "./cpu.js";
import { formatWide, log2Wide, pointTexts } from "./decimal.js";
import { directPlan, isDirect } from "./direct.js";
import type { Parts } from "./dom.js";
import { Preview } from "./preview.js";
import { messageOf, type PythonLink, saveChanges } from "./python.js";
import { References, type Wanted } from "./references.js";
import { type Band, type Plan, Renderer } from "./renderer.js";
import { alike, type Exact, Rest } from "./rest.js";
import { automaticIterations, HOME, type View } from "./state.js";
import type { StatusLine } from "./status.js";

/** Counts that crowd are a reason to iterate longer, but not for longer than this. */
const PATIENCE_MS = 4000;

/** A pass that is whole. */
interface Drawn {
  readonly frame: Frame;
  readonly iterations: number;
}

const pause = (milliseconds: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });

/** As `method_text` in Python says it. */
function textOf(plan: Plan, { view, size }: Wanted): string {
  if (plan.method === "direct") return "direct, f32";
  const deep = log2Wide(view.width) - Math.log2(size[0]) < -120 ? ", extended exponent" : "";
  return `perturbation${plan.method === "bla" ? " with BLA" : ""}, f32${deep}`;
}

export class ProgressivePicture {
  view: View = HOME;
  columns = 0;
  rows = 0;
  /** How many times the usual iterations this place asked for. */
  raised = 1;
  readonly picture: Picture;
  private welcome: ExplorerWelcome | null = null;
  private renderer: Renderer | null = null;
  private noGpu = "";
  private job = new AbortController();
  private readonly references = new References();
  private readonly atRest: Rest;
  private readonly preview: Preview;
  /** When the present picture was asked for, and when somebody last moved it. */
  private wanted = 0;
  private movedAt = Number.NEGATIVE_INFINITY;
  private held = false;
  /** Whether newly computed pixels of the present picture are on their way to the screen. */
  private shown = false;
  /** Steps of a pixel of the last picture, as a part of the most. */
  private typical = 0.3;
  /** Steps a millisecond of the last pass. */
  private rate = 0;

  constructor(
    private readonly model: AnyModel<ExplorerState>,
    private readonly parts: Parts,
    private readonly status: StatusLine,
    private readonly python: PythonLink,
    private readonly over: AbortSignal,
    coloring: () => Coloring,
    drawn: () => void,
  ) {
    this.picture = new Picture(
      parts.main,
      coloring,
      () => this.view,
      () => {
        this.drew();
        drawn();
      },
    );
    this.preview = new Preview(this.picture, status);
    this.atRest = new Rest(python, this.references);
    over.addEventListener("abort", () => {
      this.job.abort();
      this.renderer?.destroy();
    });
  }

  /** The kernel has answered. */
  async begin(welcome: ExplorerWelcome): Promise<void> {
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
      this.status.note("The GPU was lost; drawing anew.");
      await this.findGpu();
      this.refresh();
    });
  }

  /** Begin the picture of the present view; the one on its way is given up. `moved`: somebody is moving about. */
  refresh(moved = false): void {
    this.wanted = performance.now();
    if (moved) this.movedAt = this.wanted;
    this.shown = false;
    this.status.fact("firstMs", "");
    this.start();
  }

  /** Somebody holds the picture, or lets it go. */
  holding(active: boolean): void {
    this.held = active;
  }

  private start(): void {
    this.job.abort();
    this.picture.draw();
    if (this.columns === 0) return;
    this.job = new AbortController();
    this.status.fact("refined", "");
    this.status.mark("busy");
    void this.render(this.job.signal).catch((error: unknown) => {
      if (error instanceof DOMException && error.name === "AbortError") return;
      if (this.renderer === null && !this.noGpu) return; // the device is being replaced
      this.status.note(messageOf(error));
      this.status.say("this place could not be computed");
      this.status.mark("error");
    });
  }

  /** Called in the frame that has just been drawn. */
  private drew(): void {
    if (this.shown && this.parts.root.dataset["firstMs"] === "") this.status.fact("firstMs", (performance.now() - this.wanted).toFixed(0));
  }

  get maxIter(): number {
    const asked = this.model.get("max_iter");
    return this.model.get("auto_iterations") ? Math.min(2 ** 31 - 1024, Math.round(automaticIterations(this.view.width) * this.raised)) : asked;
  }

  request(view: View, size: readonly [number, number], maxIter: number): ExplorerView {
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
    const wanted: Wanted = {
      view: this.view,
      size: [this.columns, this.rows],
      maxIter: this.maxIter,
      power: this.model.get("power"),
      julia: this.model.get("julia"),
    };
    this.status.count(wanted.maxIter);
    const slow = !this.renderer || this.renderer.isFallback;
    const direct = directPlan(wanted.view, wanted.size, wanted.maxIter, wanted.power, wanted.julia);
    const held = direct ? null : this.references.plan(wanted);
    let grain = 64;
    if (slow || !(direct ?? held)) grain = await this.sketch(wanted, held?.plan ?? null, signal);
    if (!this.welcome || signal.aborted) return;
    if (slow) await this.rest(signal);
    if (this.renderer) await this.compute(wanted, direct ?? held?.plan ?? null, direct !== null || held?.best === true, grain, signal);
    else await this.fetch(wanted, signal);
  }

  /** A processor that draws waits until nobody moves the picture: frames of the move come first. */
  private async rest(signal: AbortSignal): Promise<void> {
    for (let left = 1; left > 0 && !signal.aborted; ) {
      left = this.movedAt + (this.held ? 160 : 70) - performance.now();
      if (left > 0) await pause(left, signal);
    }
  }

  private get moving(): boolean {
    return performance.now() - this.movedAt < 160;
  }

  private sketch(wanted: Wanted, plan: Plan | null, signal: AbortSignal): Promise<number> {
    return this.preview.draw(wanted, plan, this.moving, signal, () => {
      this.shown = true;
    });
  }

  /** The picture on the page's GPU, pass by pass, each with the best plan that is there. */
  private async compute(wanted: Wanted, first: Plan | null, best: boolean, sketched: number, signal: AbortSignal): Promise<void> {
    const { renderer } = this;
    if (!renderer) return;
    let plan = first;
    let text = plan ? textOf(plan, wanted) : "";
    let grain = sketched;
    let poor = new AbortController();
    let asked: Promise<void> | null = null;
    let failure: unknown = null;
    const { view, size, maxIter } = wanted;
    const request = this.request(view, size, maxIter);
    if (!best) {
      renderer.warm(wanted.power, wanted.julia !== null);
      asked = this.python
        .prepare(request, this.references.key, signal)
        .then(({ plan: sent, change, serves, text: said }) => {
          [plan, text] = [this.references.take(wanted, sent, serves, change), said];
          poor.abort();
        })
        .catch((error: unknown) => {
          failure = error;
        })
        .finally(() => {
          asked = null;
        });
      if (!plan) {
        if (!this.parts.root.dataset["sketch"]) this.status.say("computing the reference orbit…");
        const own = this.references.ownPlan(wanted, () => plan !== null || signal.aborted);
        await Promise.race([asked, own]);
        const made = plan ?? (await own);
        if (!made) await asked;
        if (!made && !plan) throw failure;
        if (made && !plan) [plan, text] = [made, "perturbation of the page's own orbit, f32"];
        if (plan && renderer.isFallback && grain > 48 && canSketch(wanted, plan)) grain = await this.sketch(wanted, plan, signal);
      }
    }
    let exact: Exact | null = null;
    let exactly: Promise<void> | null = null;
    // After the other answer: which parts the kernel sends depends on what is here.
    const askExactly = async (): Promise<void> => {
      await asked;
      if (signal.aborted) return;
      const found = await this.atRest.ask(wanted, request, signal);
      if (!plan || !alike(plan, found.plan)) poor.abort();
      exact = found;
      ({ plan, text } = found);
    };
    const askOnce = (): Promise<void> => {
      exactly ??= askExactly().catch((error: unknown) => {
        failure = error;
      });
      return exactly;
    };
    let drawn: Drawn | null = null;
    let drawnBy: Plan | null = null;
    for (const coarse of this.passes(wanted, plan, grain)) {
      // A table is worth a wait before the larger part of the work; but a kernel that is busy may not answer at all.
      if (asked && coarse <= 2) await Promise.race([asked, pause(1500, signal)]);
      if (coarse === 1 && !isDirect(view, size) && !this.moving && !signal.aborted) {
        const answer = askOnce();
        if (renderer.isFallback) await Promise.race([answer, pause(1500, signal)]);
      }
      for (;;) {
        if (signal.aborted || !plan) return;
        poor = new AbortController();
        const either = AbortSignal.any([signal, poor.signal]);
        drawnBy = plan;
        drawn = await this.pass(wanted, plan, coarse, text, renderer.run(plan, coarse, either, this.moving ? 0.3 : 1), either);
        if (drawn) break;
        if (!poor.signal.aborted) return;
      }
      if (renderer.isFallback) await pause(0, signal);
    }
    if (!drawn || !drawnBy || signal.aborted) return;
    const direct = isDirect(view, size);
    this.finished(text, drawnBy.method, drawn.iterations, direct ? 0 : null);
    if (direct) return;
    // Whole, but about another centre perhaps, and with what f32 has wrong.
    await this.rest(signal);
    await askOnce();
    if (signal.aborted) return;
    if (exact) await this.refine(wanted, exact, alike(drawnBy, (exact as Exact).plan) ? drawn : null, signal);
    // The page made do without the kernel, and could do no more than it did.
    else this.status.note(messageOf(failure));
  }

  /** The last pass again where it was computed about another centre, and then the pixels that f32 may have wrong. */
  private async refine(wanted: Wanted, exact: Exact, before: Drawn | null, signal: AbortSignal): Promise<void> {
    const { renderer } = this;
    const { plan, text } = exact;
    if (!renderer) return;
    const drawn = before ?? (await this.pass(wanted, plan, 1, text, renderer.run(plan, 1, signal), signal));
    if (!drawn || signal.aborted) return;
    let refined = 0;
    for await (const { from, to, done, count } of this.atRest.refine(renderer, exact, drawn.frame, signal)) {
      if (signal.aborted) return;
      this.picture.changed(drawn.frame, from, to);
      this.status.progress(done);
      refined = count;
    }
    if (signal.aborted) return;
    this.picture.finish(drawn.frame, 1);
    this.finished(text, plan.method, drawn.iterations, refined);
  }

  /** Sizes of the passes. The first takes some 60 ms at the rate of the last picture, 12 in a move, and shows more than a sketch did. */
  private passes(wanted: Wanted, plan: Plan | null, sketched: number): number[] {
    const slow = this.renderer?.isFallback ?? true;
    const all = slow ? [16, 8, 4, 2, 1] : [16, 4, 1];
    const rate = plan ? (this.renderer?.rate[plan.method] ?? 0) : 0;
    const steps = wanted.size[0] * wanted.size[1] * this.typical * wanted.maxIter;
    const enough = this.moving && !slow ? 12 : 60;
    const quick = (coarse: number): boolean => (rate ? steps / (coarse * coarse) / rate < enough : coarse > 2);
    const first = Math.min(16, ...all.filter(quick));
    return all.filter((coarse) => coarse === 1 || (coarse <= first && coarse < sketched));
  }

  /** One pass; null if it was given up, or began anew. */
  private async pass(wanted: Wanted, plan: Plan | null, coarse: number, text: string, bands: AsyncIterable<Band>, signal: AbortSignal): Promise<Drawn | null> {
    const { size, maxIter } = wanted;
    const begun = performance.now();
    const frame = makeFrame(wanted.view, [Math.max(1, Math.ceil(size[0] / coarse)), Math.max(1, Math.ceil(size[1] / coarse))]);
    let [iterations, far, escaped] = [0, 0, 0];
    for await (const band of bands) {
      if (signal.aborted) return null;
      frame.smooth.set(band.smooth, band.first);
      for (const n of band.iterations) {
        iterations += n;
        if (n >= maxIter) continue;
        escaped++;
        if (n > 0.7 * maxIter) far++;
      }
      this.shown = true;
      this.picture.took(frame, band.first, band.first + band.smooth.length, coarse);
      this.status.progress((frame.done / frame.smooth.length) * (coarse === 1 ? 1 : 0.3));
    }
    if (signal.aborted || frame.done < frame.smooth.length) return null;
    this.picture.finish(frame, coarse);
    this.typical = iterations / frame.smooth.length / maxIter;
    this.rate = iterations / Math.max(1, performance.now() - begun);
    if (plan && this.renderer) this.renderer.rate[plan.method] = this.rate;
    // A coarse picture tells as well; but a tiny one has few pixels to tell by.
    if (frame.smooth.length > 1000 && this.raise(frame.smooth.length, far, escaped)) return null;
    if (coarse > 1) this.status.fact("coarse", String(coarse));
    this.status.say(`${text} · ${coarse > 1 ? `1/${coarse} size…` : ""}`);
    return { frame, iterations };
  }

  /** The picture by the kernel's GPU. */
  private async fetch(wanted: Wanted, signal: AbortSignal): Promise<void> {
    const { view, size, maxIter } = wanted;
    for (const coarse of [8, 4, 2, 1]) {
      const shape: [number, number] = [Math.max(1, Math.ceil(size[0] / coarse)), Math.max(1, Math.ceil(size[1] / coarse))];
      const { band, text, method, refined } = await this.python.draw(this.request(view, shape, maxIter), coarse, signal);
      async function* one(): AsyncGenerator<Band> {
        yield band;
      }
      const drawn = await this.pass(wanted, null, coarse, text, one(), signal);
      if (!drawn) return;
      if (coarse === 1) this.finished(text, method, drawn.iterations, refined);
    }
  }

  /** Begin anew with more iterations, where the picture asks for them and nobody has chosen their number. */
  private raise(pixels: number, far: number, escaped: number): boolean {
    if (!this.model.get("auto_iterations")) return false;
    // Counts crowd under the limit: there is more to see behind it. Or nothing escapes where it is deep: perhaps all is behind it.
    const crowded = far > 0.004 * pixels && this.raised < 64;
    const nothing = escaped < 0.01 * pixels && this.raised < 16 && log2Wide(this.view.width) < -10;
    if (!nothing && (!crowded || this.takes(2 * this.maxIter) > PATIENCE_MS)) return false;
    this.raised *= 2;
    this.start();
    return true;
  }

  /** Milliseconds of a whole picture at the rate of the last pass; 0 where none is known. */
  private takes(maxIter: number): number {
    return this.rate ? (this.columns * this.rows * this.typical * maxIter) / this.rate : 0;
  }

  /** `refined`: how many pixels were done again; null: those that need it are not yet. */
  private finished(text: string, method: string, iterations: number, refined: number | null): void {
    const seconds = (performance.now() - this.wanted) / 1000;
    const rate = iterations / seconds / 1e9;
    const adapter = this.renderer?.name ?? this.welcome?.adapter ?? "";
    this.status.say(
      `${text} · ${rate >= 0.1 ? rate.toFixed(rate < 10 ? 2 : 0) : rate.toFixed(4)} Giter/s · ${seconds < 1 ? `${(seconds * 1000).toFixed(0)} ms` : `${seconds.toFixed(1)} s`} · ${adapter}`,
    );
    this.status.progress(0);
    this.status.note("");
    this.status.mark("idle");
    this.parts.root.dataset["method"] = method;
    this.parts.root.dataset["seconds"] = seconds.toFixed(3);
    this.status.fact("refined", refined === null ? "" : String(refined));
    this.model.set("status", {
      state: "idle",
      method,
      text,
      adapter,
      iterations,
      seconds,
      iterations_per_second: iterations / seconds,
      refined,
      size: [this.columns, this.rows],
      max_iter: this.maxIter,
      center: pointTexts(this.view.point, this.view.width),
      width: formatWide(this.view.width),
    });
    saveChanges(this.model);
    delete this.parts.root.dataset["sketch"];
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
