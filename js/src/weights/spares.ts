/** Buffers that nobody reads any more, to be filled again: fresh memory costs about as much as hashing what goes into it. */

export class Spares {
  private readonly buffers: ArrayBuffer[] = [];

  constructor(private readonly most: number) {}

  /** A buffer of this size, whatever is in it. */
  take(size: number): ArrayBuffer {
    const at = this.buffers.findIndex((spare) => spare.byteLength === size);
    return at < 0 ? new ArrayBuffer(size) : (this.buffers.splice(at, 1)[0] as ArrayBuffer);
  }

  give(buffer: ArrayBuffer): void {
    this.buffers.push(buffer);
    if (this.buffers.length > this.most) this.buffers.shift();
  }

  /** Hold none. */
  drop(): void {
    this.buffers.length = 0;
  }
}
