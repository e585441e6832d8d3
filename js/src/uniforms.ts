import type { Bytes } from "./session.js";

const ARENA_BYTES = 512 * 1024;

/** The uniforms of one submit in one buffer, written once before it: the queue's order makes the buffer free again for the next. */
export class UniformArena {
  readonly buffer: GPUBuffer;
  private readonly shadow = new Uint8Array(ARENA_BYTES);
  private readonly step: number;
  private used = 0;
  private last = 0;
  private lastSize = -1;

  constructor(private readonly device: GPUDevice) {
    this.step = Math.max(16, device.limits.minUniformBufferOffsetAlignment);
    this.buffer = device.createBuffer({ label: "uniforms", size: ARENA_BYTES, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
  }

  slotBytes(sizeBytes: number): number {
    return Math.ceil(sizeBytes / this.step) * this.step;
  }

  hasRoom(bytes: number): boolean {
    // The binding of the last slot may reach 16 bytes further than its data.
    return this.used + bytes + 16 <= ARENA_BYTES;
  }

  /** Keep bytes until the submit; returns their offset. The same bytes twice in a row take one slot. */
  put(bytes: Bytes): number {
    const size = bytes.byteLength;
    if (size === this.lastSize && this.sameAsLast(bytes)) return this.last;
    const offset = this.used;
    this.shadow.set(bytes, offset);
    this.used += this.slotBytes(size);
    this.last = offset;
    this.lastSize = size;
    return offset;
  }

  private sameAsLast(bytes: Bytes): boolean {
    for (let at = 0; at < bytes.byteLength; at++) if (bytes[at] !== this.shadow[this.last + at]) return false;
    return true;
  }

  /** Write what was kept; to be called right before the submit that uses it. */
  upload(): void {
    if (this.used > 0) this.device.queue.writeBuffer(this.buffer, 0, this.shadow, 0, this.used);
    this.used = 0;
    this.lastSize = -1;
  }

  destroy(): void {
    this.buffer.destroy();
  }
}
