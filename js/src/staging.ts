/** Read-back: ranges of buffers into persistent staging buffers, in the same submit as the work before, and on to Python in chunks. */
import type { BufferRecord } from "./buffers.js";
import type { Recorder } from "./dispatch.js";
import { EngineError } from "./errors.js";
import { CHUNK_BYTES } from "./protocol.gen.js";
import type { Bytes } from "./session.js";
import { makeSendable } from "./transports/frame.js";

const SMALLEST = 4096;
const BIG = 1 << 20;
/** Big chunks under way at once: one is copied on the GPU, one is mapped, one is on its way to Python. */
const MAX_BIG = 4;
const MAX_KEPT = 8;
/** Chunks under way to Python at once are two or three. */
const MAX_SENDABLES = 3;

interface Staged {
  readonly buffer: GPUBuffer;
  readonly sizeBytes: number;
}

export interface ReadPart {
  readonly item: number;
  readonly record: BufferRecord;
  readonly offset: number;
  readonly sizeBytes: number;
  /** Where the part lies in the item, and the item's size. */
  readonly itemOffset: number;
  readonly itemBytes: number;
}

/** Sends one part; resolves to false when nobody wants more, and calls `release` when the bytes may change. */
export type SendPart = (part: ReadPart, bytes: Bytes, release: () => void) => Promise<boolean>;

export class StagingRing {
  private readonly free = new Map<number, Staged[]>();
  private big = 0;
  private readonly sendables: Bytes[] = [];
  private waiting: (() => void)[] = [];
  private dead = false;

  constructor(
    private readonly device: GPUDevice,
    private readonly recorder: Recorder,
  ) {}

  /**
   * Copy parts and send them in order. The promise resolves when the last copy is submitted (later commands may run);
   * `sent` of its value resolves when everything is with the session.
   *
   * @param submitted called once, after the submit that holds the work recorded before
   * @param ready asked before bytes are sent
   */
  async read(parts: readonly ReadPart[], submitted: () => void, ready: () => Promise<boolean>, send: SendPart): Promise<{ sent: Promise<void> }> {
    let sent: Promise<void> = Promise.resolve();
    let wanted = true;
    let first = true;
    for (const chunk of chunks(parts)) {
      const size = chunk.reduce((sum, part) => sum + align(part.sizeBytes), 0);
      if (sizeClass(size) >= BIG && this.big >= MAX_BIG) {
        this.recorder.flush();
        await new Promise<void>((resolve) => this.waiting.push(resolve));
      }
      if (this.dead) throw new EngineError("device-lost", "the device was lost during a read");
      const staged = this.acquire(sizeClass(size));
      let at = 0;
      for (const part of chunk) {
        this.recorder.commands().copyBufferToBuffer(part.record.buffer, part.offset, staged.buffer, at, part.sizeBytes);
        this.recorder.touch(part.record);
        at += align(part.sizeBytes);
      }
      this.recorder.flush();
      if (first) submitted();
      first = false;
      const mapped = staged.buffer.mapAsync(GPUMapMode.READ, 0, align(size));
      const before = sent;
      let held = true;
      const release = (): void => {
        if (held) this.release(staged);
        held = false;
      };
      sent = (async () => {
        try {
          await mapped;
          await before;
          wanted = wanted && (await ready());
          let from = 0;
          for (const part of chunk) {
            if (!wanted) break;
            const size = Math.min(part.sizeBytes, part.itemBytes - part.itemOffset);
            const bytes = this.sendable(size);
            bytes.set(new Uint8Array(staged.buffer.getMappedRange(from, align(part.sizeBytes)), 0, size));
            from += align(part.sizeBytes);
            const sending = send(part, bytes, () => this.reuse(bytes));
            if (chunk.length === 1) release();
            wanted = await sending;
          }
        } finally {
          release();
        }
      })();
      sent.catch(() => undefined);
      if (!wanted) break;
    }
    if (first) {
      this.recorder.flush();
      submitted();
    }
    return { sent };
  }

  /** Bytes to be sent; big ones are used again, which saves the garbage collector work, and the system's page faults. */
  private sendable(size: number): Bytes {
    return (size === CHUNK_BYTES ? this.sendables.pop() : undefined) ?? makeSendable(size);
  }

  private reuse(bytes: Bytes): void {
    if (bytes.byteLength === CHUNK_BYTES && this.sendables.length < MAX_SENDABLES) this.sendables.push(bytes);
  }

  private acquire(size: number): Staged {
    if (size >= BIG) this.big++;
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    return this.free.get(size)?.pop() ?? { sizeBytes: size, buffer: this.device.createBuffer({ label: "staging", size, usage }) };
  }

  private release(staged: Staged): void {
    if (this.dead) return;
    staged.buffer.unmap();
    if (staged.sizeBytes >= BIG) this.big--;
    const kept = this.free.get(staged.sizeBytes) ?? [];
    if (kept.length < MAX_KEPT) kept.push(staged);
    else staged.buffer.destroy();
    this.free.set(staged.sizeBytes, kept);
    this.waiting.shift()?.();
  }

  destroy(): void {
    this.dead = true;
    for (const list of this.free.values()) for (const staged of list) staged.buffer.destroy();
    this.free.clear();
    for (const go of this.waiting.splice(0)) go();
  }
}

// mapAsync and getMappedRange want offsets in multiples of 8 and sizes of 4.
const align = (size: number): number => Math.ceil(size / 8) * 8;

function sizeClass(size: number): number {
  return Math.max(SMALLEST, 2 ** Math.ceil(Math.log2(size)));
}

/** Cut parts into chunks of CHUNK_BYTES at most; small ones share a chunk. */
function chunks(parts: readonly ReadPart[]): ReadPart[][] {
  const all: ReadPart[][] = [];
  let chunk: ReadPart[] = [];
  let room = CHUNK_BYTES;
  for (const part of parts) {
    for (let done = 0; done < part.sizeBytes; ) {
      if (room <= 0) {
        all.push(chunk);
        chunk = [];
        room = CHUNK_BYTES;
      }
      const sizeBytes = Math.min(part.sizeBytes - done, room);
      chunk.push({ ...part, offset: part.offset + done, itemOffset: part.itemOffset + done, sizeBytes });
      done += sizeBytes;
      room -= align(sizeBytes);
    }
  }
  if (chunk.length > 0) all.push(chunk);
  return all;
}
