/** Buffers that nobody reads any more, to be filled again: fresh memory costs about as much as hashing what goes into it. */

export class Spares {
  private readonly buffers: ArrayBuffer[] = [];

  constructor(private readonly most: number) {}

  /** A spare of this size, whatever is in it, if there is one. */
  find(size: number): ArrayBuffer | undefined {
    const at = this.buffers.findIndex((spare) => spare.byteLength === size);
    return at < 0 ? undefined : this.buffers.splice(at, 1)[0];
  }

  /** A buffer of this size, whatever is in it. */
  take(size: number): ArrayBuffer {
    return this.find(size) ?? new ArrayBuffer(size);
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
