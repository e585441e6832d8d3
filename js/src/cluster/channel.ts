/** One data channel to another browser: bytes in numbered packets, each with a check, and as many under way as the channel bears. */
import { EngineError } from "../errors.js";

/** Chromium takes up to 256 KiB in a message; others promise 64. */
export const PACKET_BYTES = 65536 - 32;
const HEADER_BYTES = 20;
/** A channel that holds more than this waits: Chromium closes one at 16 MiB. */
const HIGH_BYTES = 4 << 20;
const LOW_BYTES = 1 << 20;
const MOST_EARLY_BYTES = 128 << 20;

/** Where the bytes of a transfer go, in order of arrival. */
export interface Sink {
  readonly totalBytes: number;
  write(offset: number, bytes: Uint8Array<ArrayBuffer>): void;
}

interface Arriving {
  readonly sink: Sink;
  received: number;
  readonly done: () => void;
  readonly failed: (error: EngineError) => void;
}

/** Sum and sum of sums of the 32-bit words, with what the words' places are worth: finds packets that were swapped, cut or changed. */
export function checkOf(bytes: Uint8Array<ArrayBuffer>): number {
  const words = bytes.byteLength >> 2;
  let [a, b] = [1, 0];
  if (bytes.byteOffset % 4 === 0) {
    const view = new Uint32Array(bytes.buffer, bytes.byteOffset, words);
    for (let i = 0; i < words; i++) {
      a = (a + (view[i] ?? 0)) | 0;
      b = (b + a) | 0;
    }
  } else {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < words; i++) {
      a = (a + view.getUint32(4 * i, true)) | 0;
      b = (b + a) | 0;
    }
  }
  for (let i = 4 * words; i < bytes.byteLength; i++) {
    a = (a + (bytes[i] ?? 0)) | 0;
    b = (b + a) | 0;
  }
  return (a ^ ((b << 16) | (b >>> 16))) >>> 0;
}

export class BlockChannel {
  private readonly arriving = new Map<number, Arriving>();
  private room: (() => void)[] = [];
  private ended: EngineError | undefined;
  /** Packets that came before Python's word that they would: it takes another way, and may be late. */
  private readonly early = new Map<number, ArrayBuffer[]>();
  private earlyBytes = 0;

  constructor(
    readonly channel: RTCDataChannel,
    readonly peer: string,
  ) {
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = LOW_BYTES;
    channel.onbufferedamountlow = () => this.makeRoom();
    channel.onmessage = (event: MessageEvent<unknown>) => {
      if (event.data instanceof ArrayBuffer) this.arrived(event.data);
    };
    channel.onclose = () => this.end("the channel was closed");
    channel.onerror = () => this.end("the channel failed");
  }

  get open(): boolean {
    return this.ended === undefined && this.channel.readyState === "open";
  }

  private makeRoom(): void {
    for (const go of this.room.splice(0)) go();
  }

  end(reason: string): void {
    if (this.ended) return;
    this.ended = new EngineError("internal", `${this.peer}: ${reason}`);
    for (const one of this.arriving.values()) one.failed(this.ended);
    this.arriving.clear();
    this.makeRoom();
    this.channel.close();
  }

  private check(): void {
    if (this.ended) throw this.ended;
    if (this.channel.readyState !== "open") throw new EngineError("internal", `the channel to ${this.peer} is ${this.channel.readyState}`);
  }

  /** Send bytes that lie at `offset` of a transfer of `totalBytes`. */
  async send(transfer: number, offset: number, totalBytes: number, bytes: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<void> {
    for (let at = 0; at < bytes.byteLength; at += PACKET_BYTES) {
      this.check();
      signal.throwIfAborted();
      const packet = bytes.subarray(at, at + PACKET_BYTES);
      const message = new Uint8Array(HEADER_BYTES + packet.byteLength);
      const header = new DataView(message.buffer);
      header.setUint32(0, transfer, true);
      header.setUint32(4, offset + at, true);
      header.setUint32(8, totalBytes, true);
      header.setUint32(12, packet.byteLength, true);
      header.setUint32(16, checkOf(packet), true);
      message.set(packet, HEADER_BYTES);
      this.channel.send(message);
      if (this.channel.bufferedAmount > HIGH_BYTES) await this.waitForRoom();
    }
  }

  private waitForRoom(): Promise<void> {
    return new Promise((resolve) => this.room.push(resolve));
  }

  /** Take a transfer that is about to come; resolves when all its bytes are there. */
  receive(transfer: number, sink: Sink, signal: AbortSignal): Promise<void> {
    this.check();
    return new Promise((resolve, reject) => {
      const over = (): void => {
        this.arriving.delete(transfer);
        signal.removeEventListener("abort", aborted);
      };
      const aborted = (): void => {
        over();
        reject(signal.reason as Error);
      };
      signal.addEventListener("abort", aborted);
      this.arriving.set(transfer, {
        sink,
        received: 0,
        done: () => {
          over();
          resolve();
        },
        failed: (error) => {
          over();
          reject(error);
        },
      });
      this.takeEarly(transfer);
    });
  }

  private keepEarly(transfer: number, message: ArrayBuffer): void {
    const kept = this.early.get(transfer);
    if (kept) kept.push(message);
    else this.early.set(transfer, [message]);
    this.earlyBytes += message.byteLength;
    for (const [oldest, packets] of this.early) {
      if (this.earlyBytes <= MOST_EARLY_BYTES) break;
      // Nobody has asked for it in all this time: it was given up.
      this.early.delete(oldest);
      this.earlyBytes -= packets.reduce((sum, packet) => sum + packet.byteLength, 0);
    }
  }

  private takeEarly(transfer: number): void {
    const packets = this.early.get(transfer) ?? [];
    this.early.delete(transfer);
    for (const packet of packets) {
      this.earlyBytes -= packet.byteLength;
      this.arrived(packet);
    }
  }

  private arrived(message: ArrayBuffer): void {
    if (message.byteLength < HEADER_BYTES) return;
    const header = new DataView(message);
    const [transfer, offset, total, length, check] = [0, 4, 8, 12, 16].map((at) => header.getUint32(at, true)) as [number, number, number, number, number];
    const one = this.arriving.get(transfer);
    if (!one) {
      this.keepEarly(transfer, message);
      return;
    }
    const bytes = new Uint8Array(message, HEADER_BYTES);
    if (total !== one.sink.totalBytes || length !== bytes.byteLength || offset !== one.received || offset + length > total || checkOf(bytes) !== check) {
      one.failed(
        new EngineError("integrity", `${this.peer} sent a packet that does not fit: ${length} bytes at ${offset} of ${total}`, {
          transfer,
          offset,
          total,
          length,
        }),
      );
      return;
    }
    one.received += length;
    one.sink.write(offset, bytes);
    if (one.received === total) one.done();
  }
}
