import { describe, expect, it } from "vitest";
import { BlockChannel, checkOf, PACKET_BYTES } from "../src/cluster/channel.js";
import { BlockStore } from "../src/cluster/store.js";

/** Two ends of a data channel: messages arrive at once, unless `hold` keeps them. */
class End {
  binaryType = "";
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  readyState = "open";
  onbufferedamountlow: (() => void) | null = null;
  onmessage: ((event: { data: ArrayBuffer }) => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;
  other: End | undefined;
  hold = false;
  highest = 0;
  spoil: (message: ArrayBuffer) => ArrayBuffer[] = (message) => [message];
  private readonly held: ArrayBuffer[] = [];

  send(message: Uint8Array<ArrayBuffer>): void {
    this.bufferedAmount += message.byteLength;
    this.highest = Math.max(this.highest, this.bufferedAmount);
    this.held.push(message.slice().buffer);
    if (!this.hold) this.flush();
  }

  flush(): void {
    for (const message of this.held.splice(0)) for (const one of this.spoil(message)) this.other?.onmessage?.({ data: one });
    this.bufferedAmount = 0;
    this.onbufferedamountlow?.();
  }

  close(): void {
    if (this.readyState === "closed") return;
    this.readyState = "closed";
    this.onclose?.();
    this.other?.close();
  }
}

function pair(): { ends: [End, End]; channels: [BlockChannel, BlockChannel] } {
  const ends: [End, End] = [new End(), new End()];
  [ends[0].other, ends[1].other] = [ends[1], ends[0]];
  const channels = ends.map((end, i) => new BlockChannel(end as unknown as RTCDataChannel, `peer ${i}`)) as [BlockChannel, BlockChannel];
  return { ends, channels };
}

function sink(totalBytes: number): { totalBytes: number; bytes: Uint8Array; write(offset: number, bytes: Uint8Array): void } {
  const bytes = new Uint8Array(totalBytes);
  return { totalBytes, bytes, write: (offset, packet) => bytes.set(packet, offset) };
}

const never = new AbortController().signal;
const block = Uint8Array.from({ length: 3 * PACKET_BYTES + 12 }, (_, i) => (i * 7 + (i >> 8)) & 255);

describe("a channel for blocks", () => {
  it("carries a block in packets", async () => {
    const { channels } = pair();
    const target = sink(block.byteLength);
    const done = channels[1].receive(5, target, never);
    await channels[0].send(5, 0, block.byteLength, block, never);
    await done;
    expect(target.bytes).toEqual(block);
  });

  it("keeps packets that come before they are expected", async () => {
    const { channels } = pair();
    await channels[0].send(5, 0, block.byteLength, block, never);
    const target = sink(block.byteLength);
    await channels[1].receive(5, target, never);
    expect(target.bytes).toEqual(block);
  });

  it("waits while much is under way", async () => {
    const { ends, channels } = pair();
    ends[0].hold = true;
    const large = new Uint8Array(12 << 20);
    const target = sink(large.byteLength);
    const done = channels[1].receive(1, target, never);
    let sent = false;
    const sending = channels[0].send(1, 0, large.byteLength, large, never).then(() => {
      sent = true;
    });
    for (let turn = 0; turn < 8; turn++) {
      await Promise.resolve();
      if (turn === 0) expect(sent).toBe(false);
      ends[0].flush();
      await Promise.resolve();
    }
    await sending;
    ends[0].flush();
    await done;
    expect(ends[0].highest).toBeLessThan((4 << 20) + 2 * PACKET_BYTES);
  });

  const spoilt: [string, (message: ArrayBuffer, count: number) => ArrayBuffer[]][] = [
    ["changed", (message, count) => (count === 1 ? [flipped(message)] : [message])],
    ["cut", (message, count) => (count === 1 ? [message.slice(0, -8)] : [message])],
    ["left out", (message, count) => (count === 1 ? [] : [message])],
    ["sent twice", (message, count) => (count === 1 ? [message, message] : [message])],
  ];
  it.each(spoilt)("finds a packet that was %s", async (_name, spoil) => {
    const { ends, channels } = pair();
    let count = 0;
    ends[0].spoil = (message) => spoil(message, count++);
    const done = channels[1].receive(5, sink(block.byteLength), never);
    await channels[0].send(5, 0, block.byteLength, block, never);
    await expect(done).rejects.toMatchObject({ code: "integrity" });
  });

  it("fails what is under way when it closes", async () => {
    const { ends, channels } = pair();
    const done = channels[1].receive(5, sink(8), never);
    ends[0].close();
    await expect(done).rejects.toThrow("the channel was closed");
    await expect(channels[0].send(6, 0, 8, new Uint8Array(8), never)).rejects.toThrow();
    expect(channels[0].open).toBe(false);
  });

  it("gives a transfer up when it is told to", async () => {
    const { channels } = pair();
    const abort = new AbortController();
    const done = channels[1].receive(5, sink(8), abort.signal);
    abort.abort(new Error("enough"));
    await expect(done).rejects.toThrow("enough");
  });

  it("has a check that sees swapped words, also where they are not aligned", () => {
    const words = Uint8Array.from([1, 0, 0, 0, 2, 0, 0, 0, 9]);
    const swapped = Uint8Array.from([2, 0, 0, 0, 1, 0, 0, 0, 9]);
    const shifted = new Uint8Array(10).subarray(1);
    shifted.set(words);
    expect(checkOf(words)).not.toBe(checkOf(swapped));
    expect(checkOf(shifted)).toBe(checkOf(words));
  });
});

function flipped(message: ArrayBuffer): ArrayBuffer {
  const copy = new Uint8Array(message.slice(0));
  copy[40] = (copy[40] ?? 0) ^ 1;
  return copy.buffer;
}

describe("the store of blocks", () => {
  it("forgets the oldest first, and keeps nothing that is too large", () => {
    const store = new BlockStore();
    for (const name of ["a", "b", "c"]) expect(store.make(name, 100 << 20)).toBeDefined();
    expect(store.get("a")).toBeUndefined();
    expect(store.get("b")).toBeDefined();
    store.drop("b");
    expect(store.get("b")).toBeUndefined();
    expect(store.make("d", 300 << 20)).toBeUndefined();
  });
});
