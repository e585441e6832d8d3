/** Buffers by Python's handles, with an account of the memory. */
import { EngineError, limitError } from "./errors.js";
import type { Ledger } from "./ledger.js";
import type { CachedGroup } from "./pipelines.js";
import type { MemoryResult } from "./protocol.gen.js";
import { scoped } from "./scopes.js";

export interface BufferRecord {
  readonly handle: number;
  readonly label: string;
  readonly sizeBytes: number;
  readonly buffer: GPUBuffer;
  /** Number of the last encoder that uses it: a write from outside must not overtake that one. */
  stamp: number;
  /** Bind groups that hold it. */
  groups: CachedGroup[];
  compactAt: number;
}

const COMPACT_AT = 64;
/** From this size on, running out of memory is asked for by an error scope of its own. */
const SCOPED_BYTES = 1 << 20;

export class BufferStore {
  private readonly records = new Map<number, BufferRecord>();
  private bytes = 0;
  private peakBytes = 0;

  constructor(
    private readonly device: GPUDevice,
    private readonly ledger: Ledger,
  ) {}

  get memory(): MemoryResult {
    return { buffers: this.records.size, bytes: this.bytes, peak_bytes: this.peakBytes };
  }

  get(handle: number): BufferRecord {
    const record = this.records.get(handle);
    if (!record)
      throw new EngineError("unknown-handle", `there is no buffer ${handle} in the browser: it was freed, or it belonged to a device or page that is gone`, {
        handle,
      });
    return record;
  }

  find(handle: number): BufferRecord | undefined {
    return this.records.get(handle);
  }

  create(handle: number, sizeBytes: number, label = `buffer ${handle}`): BufferRecord {
    const { maxBufferSize } = this.device.limits;
    const size = Math.max(4, Math.ceil(sizeBytes / 4) * 4);
    if (size > maxBufferSize) throw limitError(`${label} needs ${size} bytes`, "maxBufferSize", size, maxBufferSize);
    const { STORAGE, UNIFORM, COPY_SRC, COPY_DST, INDIRECT } = GPUBufferUsage;
    const make = (): GPUBuffer => this.device.createBuffer({ label, size, usage: STORAGE | UNIFORM | COPY_SRC | COPY_DST | INDIRECT });
    const buffer = size >= SCOPED_BYTES ? this.watched(handle, label, size, make) : make();
    const record: BufferRecord = { handle, label, sizeBytes: size, buffer, stamp: 0, groups: [], compactAt: COMPACT_AT };
    this.records.set(handle, record);
    this.bytes += size;
    this.peakBytes = Math.max(this.peakBytes, this.bytes);
    return record;
  }

  /** Make a buffer so large that the GPU may have no memory for it. */
  private watched(handle: number, label: string, size: number, make: () => GPUBuffer): GPUBuffer {
    let tried: { made: GPUBuffer; error: Promise<GPUError | null> };
    try {
      tried = scoped(this.device, ["out-of-memory"], make);
    } catch (error) {
      throw this.outOfMemory(label, size, String(error));
    }
    this.ledger.watch(tried.error, (error) => {
      this.forget(handle);
      return this.outOfMemory(label, size, error.message);
    });
    return tried.made;
  }

  private outOfMemory(label: string, size: number, said: string): EngineError {
    const held = (this.bytes / 2 ** 20).toFixed(0);
    return new EngineError(
      "out-of-memory",
      `no memory for ${label} of ${size} bytes beside the ${held} MiB that live in the browser: ${said}. Free arrays, or make smaller ones.`,
      {
        size_bytes: size,
        held_bytes: this.bytes,
      },
    );
  }

  private forget(handle: number): BufferRecord | undefined {
    const record = this.records.get(handle);
    if (!record) return undefined;
    this.records.delete(handle);
    this.bytes -= record.sizeBytes;
    for (const group of record.groups) {
      group.dead = true;
      group.cache.delete(group.key);
    }
    record.groups = [];
    return record;
  }

  /** Take a buffer out; the caller destroys it once nothing that is being recorded uses it. */
  remove(handle: number): BufferRecord | undefined {
    return this.forget(handle);
  }

  /** Check a byte range; returns its size. */
  range(record: BufferRecord, offset: number, size: number, what: string): number {
    if (offset < 0 || size < 0 || offset % 4 || size % 4 || offset + size > record.sizeBytes) {
      throw new EngineError(
        "validation",
        `${what}: bytes ${offset} to ${offset + size} are not in ${record.label} of ${record.sizeBytes} bytes, or no multiples of 4`,
      );
    }
    return size;
  }

  destroy(): void {
    for (const record of this.records.values()) record.buffer.destroy();
    this.records.clear();
    this.bytes = 0;
  }
}

/** Note that a bind group holds a buffer, forgetting the dead ones from time to time. */
export function holdGroup(record: BufferRecord, group: CachedGroup): void {
  if (record.groups.length >= record.compactAt) {
    record.groups = record.groups.filter((held) => !held.dead);
    record.compactAt = Math.max(COMPACT_AT, 2 * record.groups.length);
  }
  record.groups.push(group);
}
