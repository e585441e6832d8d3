/** A view at play: one for each model, however many outputs show it. Keeps the time, draws what is seen, and says what is wrong. */
import type { AnyModel } from "@anywidget/types";
import { EngineError } from "../../errors.js";
import type { Gpu } from "../../gpu.js";
import type { ViewFrame, ViewState, ViewStatus } from "../../protocol.gen.js";
import { type Runtime, registry } from "../../runtime.js";
import { Clock, nextCoarse, Rate } from "./clock.js";
import { compose, type Inputs } from "./compose.js";
import { LABEL, Painter, type Values } from "./painter.js";
import { drawPixels } from "./pixels.js";
import { type Problem, problemOf } from "./problem.js";
import { Remote } from "./remote.js";
import { type Controls, Screen } from "./screen.js";

/** A trait for each of `uniforms`, beside the others. */
export type Traits = ViewState & { readonly [uniform: `u_${string}`]: unknown };

/** What a frame of a processor may take while it plays; and of the kernel, with its way here. */
const BUDGET_MS = { own: 70, kernel: 300 };
/** Of a picture that comes from the kernel the way takes as long as the drawing: smaller ones are hardly sooner here. */
const COARSEST_BY_KERNEL = 4;
const TELL_MS = 500;
const COUNT_MS = 1000;
/** The GPU's widget may come after the view; where each output is a page of its own it never does. */
const GPU_PATIENCE_MS = 5000;
const ARRAYS_PATIENCE_MS = 3000;
const RETRY_MS = 100;
const STEP_S = 1 / 60;
const CLOSED = "The GPU of this view was closed, or its kernel was restarted or has ended: run the cell again. What is shown stays.";

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A pipeline that fits what is asked for, and what it took to make. */
interface Built {
  readonly key: string;
  readonly painter: Painter;
  readonly format: GPUTextureFormat | undefined;
}

export class Player implements Controls {
  private readonly screens = new Set<Screen>();
  private readonly clock: Clock;
  private readonly rate = new Rate();
  private readonly over = new AbortController();
  private built: Built | undefined;
  private building: Promise<void> | undefined;
  private failedKey = "";
  private remote: Remote | undefined;
  private readonly begun = performance.now();
  private inputsSince = performance.now();
  private problem: Problem | undefined;
  /** The device went while it was drawn on: it is asked for again when somebody wants to play. */
  private lost = false;
  private dirty = true;
  private scheduled = 0;
  private working = false;
  private version = "";
  private coarse = 8;
  /** What is shown now has pixels so wide. */
  private shownCoarse = 0;
  private job = new AbortController();
  private refining = false;
  private nan = 0;
  private nanAt = Number.NEGATIVE_INFINITY;
  private adapter = "";
  private compileMs = 0;
  private compiledAt = 0;
  private firstMs: number | undefined;
  private told = { time: Number.NaN, at: 0, status: "" };

  constructor(private readonly model: AnyModel<Traits>) {
    this.clock = new Clock(model.get("time"));
    this.clock.seek(model.get("time"));
    this.told.time = model.get("time");
    for (const name of ["source", "size", "mouse", ...model.get("uniforms").map((uniform) => `u_${uniform}`)]) {
      this.watch(`change:${name}`, () => this.change());
    }
    this.watch("change:_inputs", () => {
      this.inputsSince = performance.now();
      this.change();
    });
    this.watch("change:playing", () => {
      if (this.model.get("playing")) this.lost = false;
      this.change();
      this.tell(true);
    });
    this.watch("change:time", () => {
      const time = this.model.get("time");
      if (time === this.told.time) return;
      this.told.time = time;
      this.clock.seek(time);
      this.change();
    });
  }

  private watch(event: string, act: () => void): void {
    const { model } = this;
    model.on(event, act);
    this.over.signal.addEventListener("abort", () => model.off(event, act));
  }

  /** Show it in one more output; returns what ends that. */
  attach(place: HTMLElement): () => void {
    const screen = new Screen(place, this);
    this.screens.add(screen);
    this.refresh();
    this.change();
    return () => {
      this.screens.delete(screen);
      screen.destroy();
    };
  }

  destroy(): void {
    this.over.abort();
    this.job.abort();
    cancelAnimationFrame(this.scheduled);
    for (const screen of this.screens) screen.destroy();
    this.screens.clear();
    this.remote?.close();
    this.built?.painter.destroy();
    this.built = undefined;
  }

  // ---------------------------------------------------------------- controls

  restart(): void {
    this.clock.seek(0);
    this.change();
    this.tell(true);
  }

  toggle(): void {
    this.model.set("playing", !this.model.get("playing"));
    this.save();
  }

  step(frames: number): void {
    if (this.model.get("playing")) this.toggle();
    this.lost = false;
    this.clock.seek(this.clock.time + frames * STEP_S);
    this.change();
    this.tell(true);
  }

  pointer(kind: "down" | "move" | "up", x: number, y: number): void {
    const [width, height] = this.model.get("size");
    const [oldX, oldY, pressedX, pressedY] = this.model.get("mouse");
    const at = [Math.min(1, Math.max(0, x)) * width, Math.min(1, Math.max(0, y)) * height] as const;
    // As Shadertoy has it: the place of the press is positive while the button is down, its y in the first frame alone.
    if (kind === "down") this.model.set("mouse", [...at, ...at]);
    else if (kind === "move") this.model.set("mouse", [...at, pressedX, -Math.abs(pressedY)]);
    else this.model.set("mouse", [oldX, oldY, -Math.abs(pressedX), -Math.abs(pressedY)]);
    if (kind !== "move") this.save();
  }

  seen(): void {
    this.dirty = true;
    this.wake();
  }

  /** What is drawn is not what is wanted any more. */
  private change(): void {
    this.dirty = true;
    // A frame of a picture that plays is soon there; one that is refined may take long, and is not wanted any more.
    if (this.refining) this.job.abort();
    this.wake();
  }

  // ---------------------------------------------------------------- frames

  private wake(): void {
    if (this.scheduled === 0 && !this.over.signal.aborted) this.scheduled = requestAnimationFrame((now) => void this.tick(now));
  }

  private async tick(now: number): Promise<void> {
    this.scheduled = 0;
    const seen = [...this.screens].filter((screen) => screen.visible);
    if (seen.length === 0) {
      this.clock.stop();
      this.rate.clear();
      this.tell(true);
      return;
    }
    if (this.working) return;
    this.working = true;
    let more = true;
    try {
      more = await this.frame(now, seen);
    } catch (error) {
      this.failed(error);
      await pause(RETRY_MS);
    } finally {
      this.working = false;
    }
    this.refresh();
    this.tell(false);
    if (more || this.dirty) this.wake();
  }

  /** Draw if there is anything new to draw; returns whether there may be at the next frame. */
  private async frame(now: number, seen: readonly Screen[]): Promise<boolean> {
    const gpu = await this.gpu();
    if (gpu === undefined) return !this.lost && !this.problem;
    if (gpu === "kernel") return this.drawByKernel(now, seen);
    const built = await this.painterOn(gpu);
    if (!built) return this.building !== undefined;
    const { painter } = built;
    const playing = this.model.get("playing");
    if (playing) this.clock.tick(now);
    else this.clock.stop();
    const version = `${gpu.recorder.serial}.${this.runtime?.engine.batches}`;
    const follows = Object.values(painter.inputs).some(({ kind }) => kind === "array" || kind === "texture");
    const fresh = this.dirty || (playing && painter.composed.animated) || (follows && version !== this.version);
    const more = (playing && painter.composed.animated) || follows;
    if (!fresh) return this.refine(gpu, painter, seen, more);
    this.dirty = false;
    this.version = version;
    if (built.format) this.drawOnCanvas(gpu, painter, built.format, seen, now);
    else await this.drawByPixels(gpu, painter, seen, this.coarse);
    this.drawn(now);
    const waiting = gpu.recorder.pace();
    if (waiting) await waiting;
    return more || (!built.format && this.shownCoarse > 1);
  }

  private get picture(): ViewFrame {
    const { time, delta, frame } = this.clock;
    return { time, delta, frame, size: this.model.get("size"), mouse: this.model.get("mouse") };
  }

  private values(inputs: Inputs): Values {
    const { model } = this;
    return Object.fromEntries(Object.keys(inputs).flatMap((name) => (inputs[name]?.kind === "uniform" ? [[name, model.get(`u_${name}`)]] : [])));
  }

  private drawOnCanvas(gpu: Gpu, painter: Painter, format: GPUTextureFormat, seen: readonly Screen[], now: number): void {
    const frame = this.picture;
    const counted = painter.composed.form === "function" && now - this.nanAt > COUNT_MS;
    const count = counted ? gpu.device.createBuffer({ label: LABEL, size: 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST }) : undefined;
    const error = gpu.recorder.submit(LABEL, (encoder) => {
      painter.begin(encoder, frame, this.values(painter.inputs));
      for (const screen of seen) {
        const view = screen.target(gpu.device, format, frame.size);
        if (view) painter.encode(encoder, view, format);
      }
      if (count) painter.copyCount(encoder, count, 0);
    });
    void error.then((found) => {
      if (found) this.failed(new EngineError("validation", found.message));
    });
    this.shownCoarse = 1;
    if (this.firstMs === undefined) {
      const first = this.compiledAt;
      void gpu.device.queue.onSubmittedWorkDone().then(() => {
        this.firstMs ??= performance.now() - first;
      });
    }
    if (!count) return;
    this.nanAt = now;
    void count
      .mapAsync(GPUMapMode.READ)
      .then(() => {
        [this.nan = 0] = new Uint32Array(count.getMappedRange());
        count.destroy();
      })
      .catch(() => undefined);
  }

  /** A processor's picture, read back: a WebGPU canvas of SwiftShader ends the browser's GPU process. */
  private async drawByPixels(gpu: Gpu, painter: Painter, seen: readonly Screen[], coarse: number): Promise<boolean> {
    this.job = new AbortController();
    // A kernel decides by itself what a pixel is, so it draws all of them.
    const least = painter.composed.form === "function" ? coarse : 1;
    const pixels = await drawPixels(gpu, painter, this.picture, this.values(painter.inputs), least, this.job.signal);
    if (!pixels) return false;
    const image = new ImageData(new Uint8ClampedArray(pixels.bytes.buffer, pixels.bytes.byteOffset, pixels.bytes.byteLength), pixels.width, pixels.height);
    for (const screen of seen) screen.show(image);
    this.nan = pixels.nan;
    this.shownCoarse = least;
    this.firstMs ??= performance.now() - this.compiledAt;
    if (coarse === this.coarse) this.coarse = nextCoarse(coarse, pixels.ms, BUDGET_MS.own);
    return true;
  }

  /** While nothing moves, draw what was drawn coarse at twice the size. */
  private async refine(gpu: Gpu, painter: Painter, seen: readonly Screen[], more: boolean): Promise<boolean> {
    if (this.shownCoarse <= 1) return more;
    this.refining = true;
    try {
      await this.drawByPixels(gpu, painter, seen, Math.max(1, this.shownCoarse / 2));
    } finally {
      this.refining = false;
    }
    return more || this.shownCoarse > 1;
  }

  private async drawByKernel(now: number, seen: readonly Screen[]): Promise<boolean> {
    this.remote ??= new Remote(this.model);
    const inputs = this.model.get("_inputs");
    const playing = this.model.get("playing");
    if (playing) this.clock.tick(now);
    else this.clock.stop();
    const moves = playing && movesByItself(this.model.get("source"), inputs);
    const finer = !this.dirty && !moves;
    if (finer && this.shownCoarse === 1) return false;
    this.dirty = false;
    const coarse = finer ? Math.max(1, this.shownCoarse / 2) : Math.min(COARSEST_BY_KERNEL, this.coarse);
    const begun = performance.now();
    const { picture, nan, adapter } = await this.remote.draw(this.picture, this.values(inputs), coarse);
    for (const screen of seen) screen.show(picture);
    picture.close();
    this.firstMs ??= performance.now() - begun;
    this.shownCoarse = coarse;
    this.nan = nan;
    this.adapter = `${adapter}, by the kernel`;
    if (!finer) this.coarse = Math.min(COARSEST_BY_KERNEL, nextCoarse(coarse, performance.now() - begun, BUDGET_MS.kernel));
    this.problem = undefined;
    this.drawn(now);
    return moves || this.shownCoarse > 1;
  }

  private drawn(now: number): void {
    this.rate.tick(now);
    const [x, y, pressedX, pressedY] = this.model.get("mouse");
    if (pressedY > 0) this.model.set("mouse", [x, y, pressedX, -pressedY]);
    if (this.built && this.failedKey !== this.wantedKey) this.problem = undefined;
  }

  // ---------------------------------------------------------------- the GPU and its pipelines

  private get runtime(): Runtime | undefined {
    return registry().get(this.model.get("gpu_id"));
  }

  /** The GPU of this page, or that of the kernel; undefined while, or where, there is none. */
  private async gpu(): Promise<Gpu | "kernel" | undefined> {
    if (this.model.get("transport") !== "comm") return "kernel";
    const { runtime } = this;
    if (this.lost) return undefined;
    if (!runtime) {
      if (this.built) {
        this.problem = { message: CLOSED, line: 0, column: 0 };
        return undefined;
      }
      if (performance.now() - this.begun > GPU_PATIENCE_MS) return "kernel";
      await pause(RETRY_MS);
      return undefined;
    }
    if (runtime.session.role === "closed") {
      this.problem = { message: CLOSED, line: 0, column: 0 };
      return undefined;
    }
    const { engine } = runtime;
    if (this.built?.painter.gpu.dead) {
      this.built = undefined;
      this.lost = true;
      const cause = engine.lastError?.message ?? "The GPU device was lost.";
      this.problem = { message: `${cause} The view stands still: press play to go on.`, line: 0, column: 0 };
      if (this.model.get("playing")) this.toggle();
      return undefined;
    }
    return engine.gpu ?? engine.device();
  }

  private get wantedKey(): string {
    const kinds = Object.entries(this.model.get("_inputs")).map(([name, { kind, type }]) => [name, kind, type]);
    return JSON.stringify([this.model.get("source"), kinds]);
  }

  /** What draws the present source; while another one is compiled, or where it fails, what was there before. */
  private async painterOn(gpu: Gpu): Promise<Built | undefined> {
    const key = this.wantedKey;
    if (this.built?.key !== key && this.failedKey !== key) {
      this.building ??= this.build(gpu, key).finally(() => {
        this.building = undefined;
        this.wake();
      });
      if (!this.built) await this.building;
    }
    if (this.built?.key === key) this.built.painter.inputs = this.model.get("_inputs");
    return this.built;
  }

  private async build(gpu: Gpu, key: string): Promise<void> {
    const begun = performance.now();
    try {
      const painter = await Painter.build(gpu, this.model.get("source"), this.model.get("_inputs"));
      const format = gpu.info.is_fallback ? undefined : navigator.gpu.getPreferredCanvasFormat();
      if (format) await painter.prepare(format);
      this.built?.painter.destroy();
      this.built = { key, painter, format };
      // What was drawn meanwhile, by what was there before, is not it.
      this.dirty = true;
      this.adapter = [gpu.info.vendor, gpu.info.architecture].filter(Boolean).join(" ") || gpu.info.description;
      this.compiledAt = performance.now();
      this.compileMs = this.compiledAt - begun;
      this.firstMs = undefined;
      this.failedKey = "";
      this.problem = undefined;
    } catch (error) {
      this.failedKey = key;
      this.problem = problemOf(error);
    }
  }

  private failed(error: unknown): void {
    // Arrays come by another way than the view, and may be later.
    const missing = error instanceof EngineError && error.code === "unknown-handle";
    if (missing && performance.now() - this.inputsSince < ARRAYS_PATIENCE_MS) {
      this.dirty = true;
      return;
    }
    if (this.built?.painter.gpu.dead) return;
    this.problem = problemOf(error);
  }

  // ---------------------------------------------------------------- what is said

  private refresh(): void {
    const playing = this.model.get("playing");
    const size = this.model.get("size");
    const source = this.model.get("source");
    const waiting = !this.built && !this.problem && this.shownCoarse === 0;
    const rate = this.rate.perSecond;
    const parts = [
      playing && rate > 0 ? `${rate.toFixed(rate < 10 ? 1 : 0)} fps` : "",
      size.join(" × "),
      this.shownCoarse > 1 ? `drawn at 1/${this.shownCoarse}` : "",
      this.adapter,
    ];
    const note = waiting ? "waiting for the GPU…" : this.nan > 0 ? `${this.nan.toLocaleString("en")} pixels are NaN (magenta)` : "";
    for (const screen of this.screens) {
      screen.resize(size);
      screen.playing(playing);
      screen.say(this.clock.time, parts.filter(Boolean).join(" · "));
      screen.note(note);
      screen.problem(this.problem, source);
      screen.root.dataset["state"] = this.problem ? "problem" : waiting ? "waiting" : playing ? "playing" : "paused";
      screen.root.dataset["coarse"] = String(this.shownCoarse);
      screen.root.dataset["frame"] = String(this.clock.frame);
    }
  }

  /** Tell Python time and status, now and then, or at once. */
  private tell(now: boolean): void {
    if (this.over.signal.aborted) return;
    const at = performance.now();
    if (!now && at - this.told.at < TELL_MS) return;
    const status: ViewStatus = {
      frames_per_second: Math.round(this.rate.perSecond * 10) / 10,
      adapter: this.adapter,
      coarse: this.shownCoarse,
      nan_pixels: this.nan,
      compile_ms: Math.round(this.compileMs * 10) / 10,
      first_frame_ms: this.firstMs === undefined ? null : Math.round(this.firstMs * 10) / 10,
    };
    const text = JSON.stringify([status, this.clock.time, this.problem]);
    if (text === this.told.status) return;
    this.told = { time: this.clock.time, at, status: text };
    this.model.set("time", this.clock.time);
    this.model.set("status", status);
    this.model.set("error", this.problem ? [this.problem.line > 0 ? `line ${this.problem.line}: ` : "", this.problem.message].join("") : "");
    this.save();
  }

  private save(): void {
    try {
      this.model.save_changes();
    } catch {
      // Without a kernel there is nobody to tell; it plays on.
    }
  }
}

/** Whether a view changes while it plays, as far as it can be told without a GPU. */
function movesByItself(source: string, inputs: Inputs): boolean {
  if (Object.values(inputs).some(({ kind }) => kind === "array" || kind === "texture")) return true;
  try {
    return compose(source, inputs).animated;
  } catch {
    return false;
  }
}
