/** Time by kernel: on the GPU by timestamp queries where there are any, and by the clock on the wall. */
import type { ProfileRow } from "./protocol.gen.js";

/** Queries in one set; WebGPU allows 4096. */
const SET_QUERIES = 2048;
const NS_PER_MS = 1e6;

interface Row {
  dispatches: number;
  gpuMs: number;
  wallMs: number;
}

/** The dispatches of one submit. */
interface Section {
  readonly labels: string[];
  readonly queries: GPUQuerySet | undefined;
}

export class Profiler {
  private readonly rows = new Map<string, Row>();
  private section: Section | undefined;
  private resolved: { readonly section: Section; readonly read: GPUBuffer | undefined; readonly started: number } | undefined;
  private readonly outstanding: Promise<void>[] = [];
  private readonly timestamps: boolean;

  constructor(private readonly device: GPUDevice) {
    this.timestamps = device.features.has("timestamp-query");
  }

  /** Dispatches a submit may hold: one alone where only the wall's clock can tell them apart. */
  get room(): number {
    return this.timestamps ? SET_QUERIES / 2 : 1;
  }

  /** A pass of one dispatch begins. */
  begin(label: string): GPUComputePassTimestampWrites | undefined {
    this.section ??= { labels: [], queries: this.timestamps ? this.device.createQuerySet({ type: "timestamp", count: SET_QUERIES }) : undefined };
    const at = 2 * this.section.labels.length;
    this.section.labels.push(label);
    const { queries } = this.section;
    return queries && { querySet: queries, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 };
  }

  /** Right before the submit. */
  resolve(encoder: GPUCommandEncoder): void {
    const { section } = this;
    if (!section) return;
    this.section = undefined;
    let read: GPUBuffer | undefined;
    if (section.queries) {
      const size = 16 * section.labels.length;
      const resolve = this.device.createBuffer({ label: "timestamps", size, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
      read = this.device.createBuffer({ label: "timestamps", size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
      encoder.resolveQuerySet(section.queries, 0, 2 * section.labels.length, resolve, 0);
      encoder.copyBufferToBuffer(resolve, 0, read, 0, size);
    }
    this.resolved = { section, read, started: performance.now() };
  }

  /** Right after the submit. */
  submitted(): void {
    const { resolved } = this;
    if (!resolved) return;
    this.resolved = undefined;
    this.outstanding.push(this.collect(resolved.section, resolved.read, resolved.started));
  }

  private async collect(section: Section, read: GPUBuffer | undefined, started: number): Promise<void> {
    await this.device.queue.onSubmittedWorkDone();
    const wallMs = performance.now() - started;
    const { labels, queries } = section;
    let gpu = labels.map(() => 0);
    if (read) {
      await read.mapAsync(GPUMapMode.READ);
      const times = new BigUint64Array(read.getMappedRange().slice(0));
      gpu = labels.map((_, index) => Math.max(0, Number((times[2 * index + 1] ?? 0n) - (times[2 * index] ?? 0n)) / NS_PER_MS));
      read.destroy();
      queries?.destroy();
    }
    const total = gpu.reduce((sum, time) => sum + time, 0);
    labels.forEach((label, index) => {
      const row = this.rows.get(label) ?? { dispatches: 0, gpuMs: 0, wallMs: 0 };
      const share = total > 0 ? (gpu[index] ?? 0) / total : 1 / labels.length;
      row.dispatches++;
      row.gpuMs += gpu[index] ?? 0;
      row.wallMs += wallMs * share;
      this.rows.set(label, row);
    });
  }

  /** Rows, longest first, once all submitted work is done. */
  async stop(): Promise<ProfileRow[]> {
    await Promise.all(this.outstanding);
    const rows = [...this.rows].map(
      ([name, row]): ProfileRow => ({ name, dispatches: row.dispatches, gpu_ms: this.timestamps ? row.gpuMs : null, wall_ms: row.wallMs }),
    );
    return rows.sort((a, b) => (b.gpu_ms ?? b.wall_ms) - (a.gpu_ms ?? a.wall_ms));
  }
}
