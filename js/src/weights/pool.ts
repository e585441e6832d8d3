/** Buffers that nobody reads any more, to be filled again: fresh memory costs about as much as hashing what goes into it. */

import type { Bytes } from "../session.js";

let nowhere: MessagePort | undefined;

/**
 * Free a buffer's memory now, not at the next collection: what is sent to a closed port is dropped, with what is transferred along.
 * `transfer(0)` frees nothing in Chromium 156.
 */
export function release(buffer: ArrayBuffer): void {
  if (!nowhere) {
    const { port1, port2 } = new MessageChannel();
    port2.close();
    nowhere = port1;
  }
  nowhere.postMessage(null, [buffer]);
}

export class BufferPool {
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

  /** Take a chunk's buffer; one that held more than the chunk fits no other, and is freed. */
  give(bytes: Bytes): void {
    const { buffer } = bytes;
    if (bytes.byteLength !== buffer.byteLength) {
      release(buffer);
      return;
    }
    this.buffers.push(buffer);
    if (this.buffers.length > this.most) this.buffers.shift();
  }

  /** Hold none. */
  drop(): void {
    this.buffers.length = 0;
  }
}
