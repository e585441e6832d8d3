import { beforeEach, describe, expect, it, vi } from "vitest";
import type { FileSpec } from "../src/weights/files.js";
import { ChunkIO } from "../src/weights/io.js";
import { forgetKept } from "../src/weights/job.js";
import { Sha256 } from "../src/weights/sha256.js";
import { Sha512 } from "../src/weights/sha512.js";
import { chunkOf, FakeDisk, fileOf, load } from "./disk.js";

let disk: FakeDisk;
let bytes: Uint8Array<ArrayBuffer>;
let file: FileSpec;
let tests = 0;
const SPANS = [
  [200, 100],
  [70, 130],
] as const;

const randomBytes = (size: number): Uint8Array<ArrayBuffer> => {
  const made = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(made.subarray(at, at + 65_536));
  return made;
};
const sha256 = async (data: Uint8Array<ArrayBuffer>, name = "SHA-256"): Promise<string> =>
  Array.from(new Uint8Array(await crypto.subtle.digest(name, data)), (byte) => byte.toString(16).padStart(2, "0")).join("");

beforeEach(async () => {
  disk = new FakeDisk();
  vi.stubGlobal("navigator", { storage: disk.storage });
  forgetKept();
  bytes = randomBytes(300);
  file = fileOf(bytes, { key: `a${++tests}`, sha256: await sha256(bytes) });
});

/** As a server sends it with one bit flipped. */
const flipped = (at: number) => (index: number) => {
  const chunk = chunkOf(bytes, index);
  if (Math.floor(at / 64) === index) chunk[at % 64] = (chunk[at % 64] as number) ^ 4;
  return chunk;
};
const right = (index: number) => chunkOf(bytes, index);
const parts = () => SPANS.map(([offset, size]) => [...bytes.subarray(offset, offset + size)]);
const shown = (buffers: readonly Uint8Array[]) => buffers.map((buffer, n) => [...buffer.subarray(0, SPANS[n]?.[1])]);

describe.each([
  ["SHA-256", Sha256],
  ["SHA-512", Sha512],
])("%s", (name, Hash) => {
  it("is itself, however the bytes are cut", async () => {
    for (const size of [0, 1, 55, 56, 63, 64, 65, 111, 112, 119, 120, 127, 128, 129, 240, 1000, 70_000]) {
      const data = randomBytes(size);
      const hash = new Hash();
      for (let at = 0; at < size; ) {
        const step = 1 + Math.floor(Math.random() * 200);
        hash.update(data.subarray(at, at + step));
        at += step;
      }
      expect(hash.end(), `${size} bytes`).toBe(await sha256(data, name));
    }
  });
});

describe("a file whose SHA-256 is known", () => {
  it.each([true, false])("is handed out when all of it was right, and then chunk by chunk (cache: %s)", async (cache) => {
    file = { ...file, cache };
    const io = new ChunkIO();
    const first = await load(io, file, SPANS, right);
    await first.ended;
    expect(first.asked).toEqual([0, 1, 2, 3, 4]); // all of it, in order, though the items want less
    expect([shown(first.buffers), [...first.done].sort()]).toEqual([parts(), [0, 1]]);
    forgetKept();
    const again = await load(io, file, SPANS, right);
    expect((await again.ended).bytes_from_cache > 0).toBe(cache);
    expect(shown(again.buffers)).toEqual(parts());
    expect(again.asked).toEqual(cache ? [] : [3, 4, 1, 2]);
  });

  it.each([0, 130, 250, 299])("is neither handed out nor kept with a flipped bit in byte %i, and comes right from a server that is well again", async (at) => {
    const bad = await load(new ChunkIO(), file, SPANS, flipped(at));
    await expect(bad.ended).rejects.toThrow(new RegExp(`has the SHA-256 [0-9a-f]{64}, but its server says ${file.sha256}.*nothing of it was kept`));
    expect(bad.done).toEqual([]);
    expect((await new ChunkIO().open(file)).have).toEqual([]);
    const good = await load(new ChunkIO(), file, SPANS, right);
    await good.ended;
    expect([shown(good.buffers), [...good.done].sort()]).toEqual([parts(), [0, 1]]);
  });

  it("is told from what an earlier load had kept, which goes", async () => {
    const io = new ChunkIO();
    const unchecked = { ...file, verify: false, sha256: "" };
    await (await load(io, unchecked, SPANS, flipped(250))).ended; // with verify=False
    const next = await load(new ChunkIO(), file, SPANS, right);
    await expect(next.ended).rejects.toThrow("but its server says");
    expect(next.done).toEqual([]);
    const last = await load(new ChunkIO(), file, SPANS, right);
    await last.ended;
    expect(shown(last.buffers)).toEqual(parts());
  });

  it("has each chunk checked that is fetched once it was checked whole", async () => {
    const io = new ChunkIO();
    await (await load(io, file, SPANS, right)).ended;
    const uncached = { ...file, cache: false };
    const bad = await load(io, uncached, SPANS, flipped(250));
    await expect(bad.ended).rejects.toThrow(/came 3 times with the wrong SHA-256/);
    expect(bad.done).not.toContain(0);
  });

  it("is checked by a page that finds the mark of another", async () => {
    await (await load(new ChunkIO(), file, SPANS, right)).ended;
    const fresh = await new ChunkIO().open(file);
    expect([fresh.checked, fresh.have.length]).toEqual([true, 5]);
    const other = await new ChunkIO().open({ ...file, sha256: "0".repeat(64) });
    expect(other.checked).toBe(false);
  });

  it("is brought once by two loads at a time", async () => {
    const io = new ChunkIO();
    const both = await Promise.all([load(io, file, SPANS, right), load(io, file, SPANS, right)]);
    await Promise.all(both.map(({ ended }) => ended));
    expect(both.map(({ buffers }) => shown(buffers))).toEqual([parts(), parts()]);
    expect(both.flatMap(({ asked }) => asked)).toHaveLength(5);
  });

  it("does not keep a second load waiting for one that is paused or cancelled", async () => {
    for (const stop of ["pause", "cancel"]) {
      file = { ...file, key: `${file.key}${stop}` };
      const io = new ChunkIO();
      const first = await load(io, file, SPANS, right);
      first.ended.catch(() => undefined);
      if (stop === "pause") first.job.pause(true);
      else first.job.cancel();
      const second = await load(io, file, SPANS, right);
      await second.ended;
      expect(shown(second.buffers)).toEqual(parts());
      first.job.pause(false);
      if (stop === "pause") await first.ended;
    }
  });
});
