import { describe, expect, it } from "vitest";
import type { ItemSpec } from "../src/protocol.gen.js";
import type { FileSpec } from "../src/weights/files.js";
import { Hashers, hasherCount, serveHashes } from "../src/weights/hashing.js";
import { BufferPool } from "../src/weights/pool.js";
import { Drain, Ring } from "../src/weights/ring.js";
import { type Ref, Schedule } from "../src/weights/schedule.js";
import { WordWriter } from "../src/weights/sinks.js";
import { chunkDigest } from "../src/weights/store.js";

const file = (size: number): FileSpec => ({
  key: "k",
  name: "n",
  size,
  chunk_bytes: 10,
  url: "u",
  ranges: true,
  validator: "",
  cache: true,
  verify: true,
  sha256: "",
  digests: "",
});

const item = (id: number, offset: number, bytes: number, fileNumber = 0): ItemSpec => ({
  id,
  stage: id,
  file: fileNumber,
  offset,
  bytes,
  count: bytes,
  outs: [id],
  decode: 0,
  encode: 0,
  block_elements: 1,
  block_bytes: 1,
  out_bits: 32,
  grouped: false,
  flag: null,
});

const drain = (schedule: Schedule): number[] => {
  const order: number[] = [];
  for (let ref = schedule.take("idle"); ref; ref = schedule.take("idle")) {
    order.push(ref.index);
    schedule.done(ref);
  }
  return order;
};

describe("Schedule", () => {
  it("takes chunks in the order of the items, each once", () => {
    const schedule = new Schedule([file(100)], [item(0, 55, 20), item(1, 0, 12), item(2, 12, 5)]);
    expect(drain(schedule)).toEqual([5, 6, 7, 0, 1]);
    expect(schedule.finished).toBe(true);
  });

  it("lets a wanted item jump the queue, and only its open chunks", () => {
    const schedule = new Schedule([file(100)], [item(0, 0, 40), item(1, 40, 20), item(2, 60, 40)]);
    const first = schedule.take("idle") as Ref;
    schedule.prioritise([2, 0]);
    expect(schedule.hasUrgent).toBe(true);
    schedule.done(first);
    expect(drain(schedule)).toEqual([1, 2, 3, 6, 7, 8, 9, 4, 5]);
    expect(schedule.hasUrgent).toBe(false);
  });

  it("keeps wanted chunks in mind while a run holds them", () => {
    const schedule = new Schedule([file(100)], [item(0, 0, 50), item(1, 50, 50)]);
    const first = schedule.take("idle") as Ref;
    const run = schedule.extend(first, 10, () => false);
    schedule.prioritise([1]);
    expect(schedule.hasUrgent).toBe(false);
    expect([first, run[5] as Ref].map((ref) => schedule.isUrgent(ref))).toEqual([false, true]);
    for (const ref of run) schedule.giveBack(ref);
    expect(schedule.hasUrgent).toBe(true);
    expect(drain(schedule)).toEqual([5, 6, 7, 8, 9, 0, 1, 2, 3, 4]);
  });

  it("extends a run up to what is busy, cached or another's", () => {
    const schedule = new Schedule([file(100)], [item(0, 0, 100)]);
    schedule.cached(0, [4]);
    const first = schedule.take("idle") as Ref;
    expect(schedule.extend(first, 9, () => false).map((ref) => ref.index)).toEqual([0, 1, 2, 3]);
    const next = schedule.take("idle") as Ref;
    expect(schedule.extend(next, 9, (ref) => ref.index === 7).map((ref) => ref.index)).toEqual([5, 6]);
    expect(schedule.take("cached")?.index).toBe(4);
  });

  it("gives back, drops, and never loses a chunk", () => {
    const schedule = new Schedule([file(100)], [item(0, 0, 35), item(1, 35, 65)]);
    const taken = schedule.take("idle") as Ref;
    schedule.giveBack(taken);
    expect(schedule.take("idle")).toEqual(taken);
    schedule.keepOnly([item(1, 35, 65)]);
    schedule.done(taken);
    expect(drain(schedule)).toEqual([3, 4, 5, 6, 7, 8, 9]);
    expect(schedule.finished).toBe(true);
  });

  it("has nothing to do for empty items", () => {
    expect(new Schedule([file(0)], [item(0, 0, 0)]).finished).toBe(true);
  });
});

describe("WordWriter", () => {
  it("puts every byte in its place, however the bytes are cut", () => {
    for (const total of [1, 3, 4, 7, 32, 61]) {
      for (const step of [1, 2, 3, 5, 8, 64]) {
        const source = Uint8Array.from({ length: total }, (_, index) => index + 1);
        const target = new Uint8Array(Math.ceil(total / 4) * 4);
        const writer = new WordWriter(total, (at, bytes, from, size) => {
          expect([at % 4, size % 4]).toEqual([0, 0]);
          target.set(new Uint8Array(bytes, from, size), at);
        });
        const starts = Array.from({ length: Math.ceil(total / step) }, (_, index) => index * step);
        for (const at of starts.reverse()) writer.write(at, source.buffer, at, Math.min(step, total - at));
        expect([...target.subarray(0, total)]).toEqual([...source]);
        expect([...target.subarray(total)].every((byte) => byte === 0)).toBe(true);
      }
    }
  });
});

describe("Ring", () => {
  it("lets in what fits, in turn, and one that never fits when it is empty", async () => {
    const ring = new Ring(10);
    const order: number[] = [];
    await ring.take(6);
    const waiting = [6, 1, 50].map((size) => ring.take(size).then(() => order.push(size)));
    await Promise.resolve();
    expect(order).toEqual([]);
    ring.give(6);
    await Promise.all(waiting.slice(0, 2));
    expect(order).toEqual([6, 1]);
    ring.give(7);
    await waiting[2];
    expect(ring.peak).toBe(50);
  });

  it("keeps what the GPU's process has not dealt with", async () => {
    let finish: () => void = () => undefined;
    const queue = { onSubmittedWorkDone: () => new Promise<void>((resolve) => (finish = resolve)) } as unknown as GPUQueue;
    const ring = new Ring(10);
    const drained = new Drain(ring, 8);
    await ring.take(8);
    drained.handedOver(queue, 8);
    let entered = false;
    const next = ring.take(8).then(() => (entered = true));
    await Promise.resolve();
    expect(entered).toBe(false);
    finish();
    await next;
    expect(entered).toBe(true);
  });
});

describe("BufferPool", () => {
  it("gives what fits, keeps so many, and frees what held more than a chunk", () => {
    const pool = new BufferPool(2);
    const [first, second, third] = [new Uint8Array(8), new Uint8Array(16), new Uint8Array(8)];
    for (const one of [first, second, third]) pool.give(one);
    expect(pool.find(8)).toBe(third.buffer); // the oldest has gone
    expect(pool.find(8)).toBeUndefined();
    expect(pool.take(8).byteLength).toBe(8);
    const frame = new Uint8Array(24).subarray(8, 16);
    pool.give(frame);
    expect(pool.find(24)).toBeUndefined();
    expect(frame.byteLength).toBe(0);
    pool.drop();
    expect(pool.find(16)).toBeUndefined();
  });
});

describe("chunkDigest", () => {
  // The same three are in tests/weights/test_digest.py.
  it.each([
    [new Uint8Array(0), "5df6e0e2761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456"],
    [new TextEncoder().encode("abc"), "4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358"],
    [Uint8Array.from({ length: 600_000 }, (_, i) => i % 251), "2fccce4d3eaa739463240bf77394ebd00f6cf31a815c31cbac084c029ab6edfd"],
  ])("digests %#", async (bytes, digest) => {
    expect(await chunkDigest(bytes as Uint8Array<ArrayBuffer>)).toBe(digest);
  });
});

describe("Hashers", () => {
  it("digests on its own thread before a hasher lives", async () => {
    const hashers = new Hashers();
    const { port1, port2 } = new MessageChannel();
    hashers.add(port2); // the other side never says that it lives
    const { digest, bytes } = await hashers.digest(new TextEncoder().encode("abc"));
    expect(digest).toBe("4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358");
    expect(bytes.byteLength).toBe(3);
    port1.close();
    port2.close();
  });

  it("gives buffers away and back, to several hashers at once, each with its own digest", async () => {
    const hashers = new Hashers();
    const channels = [new MessageChannel(), new MessageChannel()];
    for (const { port1, port2 } of channels) {
      hashers.add(port2);
      serveHashes(port1);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    const chunks = Array.from({ length: 7 }, (_, n) => new Uint8Array(n === 3 ? 700_000 : 1000 + n).fill(n));
    const wanted = await Promise.all(chunks.map((chunk) => chunkDigest(chunk)));
    const pending = chunks.map((chunk) => hashers.digest(chunk));
    expect(chunks.every((chunk) => chunk.byteLength === 0)).toBe(true); // moved, not copied
    const hashed = await Promise.all(pending);
    expect(hashed.map(({ digest }) => digest)).toEqual(wanted);
    expect(hashed.map(({ bytes }) => bytes[999])).toEqual([0, 1, 2, 3, 4, 5, 6]);
    for (const { port1, port2 } of channels) {
      port1.close();
      port2.close();
    }
  });

  it("leaves cores to the page and to what moves bytes", () => {
    expect([1, 2, 3, 4, 5, 16].map(hasherCount)).toEqual([1, 1, 1, 2, 3, 3]);
  });
});
