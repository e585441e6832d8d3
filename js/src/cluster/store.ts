/** Blocks that came to this browser, kept in its memory to be passed on without asking the GPU, which may have hours of work queued. */

const MOST_BYTES = 256 << 20;

export class BlockStore {
  private readonly blocks = new Map<string, Uint8Array<ArrayBuffer>>();
  private bytes = 0;

  /** Room for a block; undefined when it is larger than all that may be kept. */
  make(name: string, sizeBytes: number): Uint8Array<ArrayBuffer> | undefined {
    this.drop(name);
    if (sizeBytes > MOST_BYTES) return undefined;
    for (const oldest of this.blocks.keys()) {
      if (this.bytes + sizeBytes <= MOST_BYTES) break;
      this.drop(oldest);
    }
    const made = new Uint8Array(sizeBytes);
    this.blocks.set(name, made);
    this.bytes += sizeBytes;
    return made;
  }

  get(name: string): Uint8Array<ArrayBuffer> | undefined {
    return this.blocks.get(name);
  }

  drop(name: string): void {
    const found = this.blocks.get(name);
    if (!found) return;
    this.blocks.delete(name);
    this.bytes -= found.byteLength;
  }
}
