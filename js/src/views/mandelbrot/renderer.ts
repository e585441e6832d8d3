/** Escape counts on the page's own GPU, in slices that can be given up. */
import type { ExplorerPlan, ExplorerShaders } from "../../protocol.gen.js";
import { type Fine, fineParams, LIST_WORDS, listing, STATE_WORDS } from "./refine.js";

/** A plan with the parts of its reference, which perturbation needs. */
export interface Plan extends ExplorerPlan {
  readonly reference: ArrayBuffer | null;
  readonly table: ArrayBuffer | null;
  readonly orbit: ArrayBuffer | null;
}

export interface Band {
  readonly first: number;
  readonly iterations: Uint32Array;
  readonly smooth: Float32Array;
}

const TILE = 8;
const ROW_GROUPS = 16_384;
const FIRST_LEVEL = 4;
const BLOCK = 16;
const TARGET_MS = 25;

/** Steps of all pixels together that a dispatch aims at. */
interface Pace {
  steps: number;
}

/** A kernel with all that its dispatches need but how much they may do. */
interface Job {
  readonly pipeline: GPUComputePipeline;
  readonly data: readonly GPUBuffer[];
  readonly total: number;
  /** Pixels of a band, and what a pixel takes of the list and of the state, in words. */
  readonly band: number;
  readonly listWords: number;
  readonly stateWords: number;
  readonly pace: Pace;
  readonly groups: (count: number) => number;
  readonly params: (first: number, count: number, budget: number, fresh: boolean) => ArrayBuffer;
  readonly listing?: (first: number, count: number) => Int32Array<ArrayBuffer>;
}

/** Parts of a kernel's reference that are on the GPU. */
interface Held {
  readonly key: string;
  readonly buffers: GPUBuffer[];
}

export class Renderer {
  private readonly pipelines = new Map<string, Promise<GPUComputePipeline>>();
  private held: Held | null = null;
  private heldFine: Held | null = null;
  private readonly pace: Pace;
  private readonly finePace: Pace;
  readonly isFallback: boolean;
  readonly name: string;

  private constructor(
    readonly device: GPUDevice,
    info: GPUAdapterInfo,
    private readonly shaders: ExplorerShaders,
  ) {
    this.isFallback = info.isFallbackAdapter;
    this.name = [info.vendor, info.architecture].filter(Boolean).join(" ") || info.description || "unnamed adapter";
    this.pace = { steps: this.isFallback ? 4e6 : 4e8 };
    this.finePace = { steps: this.pace.steps / 20 };
  }

  /** Null, with the reason, where the page has no GPU. */
  static async create(shaders: ExplorerShaders): Promise<Renderer | string> {
    if (!isSecureContext) return "the page is no secure context (neither https nor localhost)";
    if (!navigator.gpu) return "this browser has no WebGPU";
    const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
    if (!adapter) return "the browser found no GPU adapter";
    const device = await adapter.requestDevice({ label: "mandelbrot explorer" });
    return new Renderer(device, adapter.info, shaders);
  }

  /** Steps a millisecond of each method, from the last pictures; 0: not known yet. */
  readonly rate = { direct: 0, perturbation: 0, bla: 0 };

  /** Compile what a deeper view will need, so that its first picture does not wait for it. */
  warm(power: number, julia: boolean): void {
    void this.pipeline({ method: "bla", power, julia: julia ? [0, 0] : null }).catch(() => undefined);
  }

  private compile(kind: keyof ExplorerShaders, constants: Record<string, number>): Promise<GPUComputePipeline> {
    const key = JSON.stringify([kind, constants]);
    let made = this.pipelines.get(key);
    if (!made) {
      const module = this.device.createShaderModule({ code: this.shaders[kind] });
      made = this.device.createComputePipelineAsync({ layout: "auto", compute: { module, constants } });
      this.pipelines.set(key, made);
    }
    return made;
  }

  /** A plan without a table has an empty one: one pipeline less to compile when a view becomes deep. */
  private pipeline(plan: Pick<Plan, "method" | "power" | "julia">): Promise<GPUComputePipeline> {
    const map = { POWER: plan.power, JULIA: plan.julia ? 1 : 0 };
    if (plan.method === "direct") return this.compile("direct", { ...map, LADDER: this.isFallback ? 0 : 1 });
    return this.compile("perturb", { ...map, TURN: this.isFallback ? 512 : 2048 }); // as in work.py
  }

  private buffer(size: number, usage: number): GPUBuffer {
    return this.device.createBuffer({ size: Math.max(16, size), usage });
  }

  private upload(data: ArrayBuffer): GPUBuffer {
    const buffer = this.buffer(data.byteLength, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST);
    this.device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  }

  private data(plan: Plan): GPUBuffer[] {
    if (plan.method === "direct") return [];
    if (plan.reference && plan.table && plan.orbit && this.held?.key !== plan.key) {
      for (const buffer of this.held?.buffers ?? []) buffer.destroy();
      const orbit = this.upload(plan.orbit); // bound twice, the second time by blocks
      this.held = { key: plan.key, buffers: [this.upload(plan.reference), this.upload(plan.table), orbit, orbit] };
    }
    if (this.held?.key !== plan.key) throw new Error("the reference orbit of this view is not on the GPU");
    return this.held.buffers;
  }

  private fineData(fine: Fine): GPUBuffer[] {
    if (this.heldFine?.key !== fine.key) {
      for (const buffer of this.heldFine?.buffers ?? []) buffer.destroy();
      this.heldFine = { key: fine.key, buffers: [this.upload(fine.reference), this.upload(fine.table)] };
    }
    return this.heldFine.buffers;
  }

  private params(plan: Plan, size: readonly [number, number], first: number, count: number, budget: number, fresh: boolean): ArrayBuffer {
    const direct = plan.method === "direct";
    const bytes = new ArrayBuffer(direct ? 72 : 208);
    const view = new DataView(bytes);
    let at = 0;
    const u32 = (...values: number[]): void => {
      for (const value of values) {
        view.setUint32(at, value >>> 0, true);
        at += 4;
      }
    };
    const f32 = (...values: number[]): void => {
      for (const value of values) {
        view.setFloat32(at, value, true);
        at += 4;
      }
    };
    // A coarse picture covers the same width with fewer pixels.
    const step = (plan.step * plan.size[0]) / size[0];
    u32(size[0], size[1], first, count);
    f32(plan.center[0], plan.center[1], step, -step, 0, 0);
    if (direct) f32(...(plan.julia ?? [0, 0]));
    else u32(plan.scale);
    f32(plan.radius_squared);
    u32(plan.max_iter, budget, fresh ? 1 : 0, ROW_GROUPS);
    if (!direct) u32(plan.start, plan.levels, plan.highest, 0, ...plan.offsets);
    return bytes;
  }

  /**
   * Compute a picture at 1/coarse of its size, band by band.
   *
   * Ends early, without a word, when `signal` is aborted: no slice runs longer than some 50 ms; `part` makes them shorter.
   */
  async *run(plan: Plan, coarse: number, signal: AbortSignal, part = 1): AsyncGenerator<Band, void, void> {
    const size: [number, number] = [Math.max(1, Math.ceil(plan.size[0] / coarse)), Math.max(1, Math.ceil(plan.size[1] / coarse))];
    const total = size[0] * size[1];
    const pipeline = await this.pipeline(plan);
    if (signal.aborted) return;
    // As in kernels.py: few pixels a slice with many steps each, since to begin and end one costs a processor a hundred.
    const tall = this.isFallback ? 1 : TILE; // rows of tiles that are not whole cost a GPU much, and a processor nothing
    const rows = Math.max(1, Math.floor(Math.min(1 << 20, Math.max(this.pace.steps / 1024, 8192)) / size[0] / tall)) * tall;
    yield* this.bands(
      {
        pipeline,
        data: this.data(plan),
        total,
        band: Math.min(total, rows * size[0]),
        listWords: 0,
        stateWords: 6,
        pace: this.pace,
        groups: (count) => Math.ceil(size[0] / TILE) * Math.ceil(count / size[0] / TILE),
        params: (first, count, budget, fresh) => this.params(plan, size, first, count, budget, fresh),
      },
      signal,
      part,
    );
  }

  /** Compute some pixels of a picture again with 56-bit numbers. Ends early as `run`; `first` of a band counts in `pixels`. */
  async *refine(plan: Plan, fine: Fine, pixels: Uint32Array, signal: AbortSignal): AsyncGenerator<Band, void, void> {
    const map = { POWER: plan.power, JULIA: plan.julia ? 1 : 0 };
    const pipeline = await this.compile("refine", { ...map, TABLE: fine.levels > 0 ? 1 : 0, FIRST_LEVEL });
    if (signal.aborted || pixels.length === 0) return;
    // A processor does some thousand of these steps in a millisecond: bands are small, so that whoever else uses it need not wait.
    const band = Math.min(pixels.length, 1 << 18, Math.max(this.isFallback ? 512 : 8192, Math.floor(this.finePace.steps / 1024)));
    yield* this.bands(
      {
        pipeline,
        data: this.fineData(fine),
        total: pixels.length,
        band,
        listWords: LIST_WORDS,
        stateWords: STATE_WORDS,
        pace: this.finePace,
        groups: (count) => Math.ceil(count / (TILE * TILE)),
        params: (_, count, budget, fresh) => fineParams(plan, fine, count, budget, fresh, ROW_GROUPS),
        listing: (first, count) => listing(plan, pixels.subarray(first, first + count)),
      },
      signal,
      1,
    );
  }

  private async *bands(job: Job, signal: AbortSignal, part: number): AsyncGenerator<Band, void, void> {
    const { device } = this;
    const { band, pace, total } = job;
    const parallel = this.isFallback ? 256 : 16_384; // pixels under which a dispatch does not get faster
    const least = this.isFallback && !job.listing ? 256 : 64;
    const storage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const list = this.buffer(4 * job.listWords * band, storage);
    const state = this.buffer(4 * job.stateWords * band, storage);
    const result = this.buffer(8 * band, storage);
    const remaining = this.buffer(16, storage);
    const staging = this.buffer(8 * band + 16, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
    const uniform = this.buffer(208, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
    const entries = [list, ...job.data, state, result, remaining].map((buffer, binding) => ({ binding, resource: { buffer } }));
    const group = device.createBindGroup({ layout: job.pipeline.getBindGroupLayout(0), entries });
    const second = device.createBindGroup({ layout: job.pipeline.getBindGroupLayout(1), entries: [{ binding: 0, resource: { buffer: uniform } }] });
    try {
      for (let first = 0; first < total; first += band) {
        const count = Math.min(band, total - first);
        const groups = job.groups(count);
        if (job.listing) device.queue.writeBuffer(list, 0, job.listing(first, count));
        let left = count;
        let fresh = true;
        while (left > 0) {
          if (signal.aborted) return;
          const before = left;
          const budget = Math.max(least, Math.min(Math.floor((part * pace.steps) / Math.max(left, parallel)), 1 << 28) & ~(BLOCK - 1));
          device.queue.writeBuffer(uniform, 0, job.params(first, count, budget, fresh));
          const encoder = device.createCommandEncoder();
          encoder.clearBuffer(remaining);
          const pass = encoder.beginComputePass();
          pass.setPipeline(job.pipeline);
          pass.setBindGroup(0, group);
          pass.setBindGroup(1, second);
          pass.dispatchWorkgroups(Math.min(groups, ROW_GROUPS), Math.ceil(groups / ROW_GROUPS));
          pass.end();
          encoder.copyBufferToBuffer(remaining, 0, staging, 0, 16);
          encoder.copyBufferToBuffer(result, 0, staging, 16, 8 * count);
          const begun = performance.now();
          device.queue.submit([encoder.finish()]);
          await staging.mapAsync(GPUMapMode.READ, 0, 16 + 8 * count);
          const took = performance.now() - begun;
          const mapped = staging.getMappedRange(0, 16 + 8 * count);
          left = new Uint32Array(mapped, 0, 1)[0] ?? 0;
          fresh = false;
          if (took > 2 * TARGET_MS) pace.steps *= Math.max(0.1, TARGET_MS / took);
          else if (part === 1 && 2 * left > before && before >= parallel && took < TARGET_MS)
            pace.steps = Math.min(1e12, pace.steps * Math.min(4, Math.max(1.2, (0.8 * TARGET_MS) / took)));
          const done = left === 0 ? mapped.slice(16) : null;
          staging.unmap();
          if (done) yield { first, iterations: new Uint32Array(done, 0, count), smooth: new Float32Array(done, 4 * count, count) };
        }
      }
    } finally {
      for (const buffer of [list, state, result, remaining, staging, uniform]) buffer.destroy();
    }
  }

  destroy(): void {
    this.device.destroy();
  }
}
