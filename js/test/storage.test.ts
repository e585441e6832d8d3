import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { FileSpec } from "../src/weights/files.js";
import { ChunkIO } from "../src/weights/io.js";
import { forgetKept } from "../src/weights/job.js";
import { patient, STORAGE_MS } from "../src/weights/patience.js";
import { Schedule } from "../src/weights/schedule.js";
import { chunkOf, FakeDisk, fileOf, load } from "./disk.js";

const bytes = Uint8Array.from({ length: 300 }, (_, at) => (at * 7) % 251);

let disk: FakeDisk;
let file: FileSpec;
let tests = 0;

beforeEach(() => {
  disk = new FakeDisk();
  file = fileOf(bytes, { key: `k${++tests}` }); // folders that were read from stay known by their keys
  vi.stubGlobal("navigator", { storage: disk.storage });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
  forgetKept();
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const soon = globalThis.setTimeout; // the real one

/** Let what is ready run. */
function turn(): Promise<void> {
  return new Promise((resolve) => soon(resolve, 0));
}

/** Let time pass until `work` settles; fails when that takes more than `most` ms. */
async function settles<T>(work: Promise<T>, most: number): Promise<T> {
  let over = false;
  const ended = work.finally(() => {
    over = true;
  });
  ended.catch(() => undefined);
  for (let at = 0; !over && at <= most; at += 250) {
    for (let n = 0; n < 5; n++) await turn();
    if (!over) await vi.advanceTimersByTimeAsync(250);
  }
  expect(over, `it stood still for ${most} ms`).toBe(true);
  return ended;
}

async function filled(): Promise<ChunkIO> {
  const io = new ChunkIO();
  await io.open(file);
  for (let index = 0; index < 5; index++) await io.put(file, index, chunkOf(bytes, index), "");
  return io;
}

describe("a storage that does not answer", () => {
  it("costs a load its cache at the beginning, whatever step it is", async () => {
    for (const method of ["getDirectory", "getDirectoryHandle", "getFileHandle", "createSyncAccessHandle", "entries", "estimate", "persisted"]) {
      disk.hangs = (step) => step === method;
      const io = new ChunkIO();
      const { have, warning } = await settles(io.open(file), STORAGE_MS + 500);
      expect([have, warning], method).toEqual([[], expect.stringMatching(/model is loaded without.*storage has not answered for 5 s/)]);
      const put = await settles(io.put(file, 0, chunkOf(bytes, 0), ""), 0);
      expect([put.bytes, put.kept, put.warning]).toEqual([chunkOf(bytes, 0), "", ""]);
    }
  });

  it("costs the rest of the cache when a chunk's handle does not come, and the handle is closed when it does", async () => {
    const io = new ChunkIO();
    await io.open(file);
    disk.hangs = (step, name) => step === "createSyncAccessHandle" && name.startsWith("000001");
    const chunks = await Promise.all([0, 1, 2].map((index) => settles(io.put(file, index, chunkOf(bytes, index), ""), STORAGE_MS + 500)));
    expect(chunks.map((chunk) => chunk.bytes)).toEqual([0, 1, 2].map((index) => chunkOf(bytes, index)));
    expect(chunks.map((chunk) => chunk.warning)).toEqual(["", expect.stringContaining("without the browser's cache"), ""]);
    disk.release();
    await settles(Promise.resolve(), 0);
    expect(disk.open).toBe(0);
    // What came late is no chunk, and is told from one.
    disk.hangs = () => false;
    const again = new ChunkIO();
    const { have } = await again.open(file);
    for (const [index, digest] of have) {
      const found = await again.read(file, index, digest, undefined);
      expect(found.bytes).toEqual(index === 1 ? null : chunkOf(bytes, index));
    }
  });

  it("lets a load that reads from it go on without", async () => {
    const io = await filled();
    disk.hangs = (step, name) => step === "createSyncAccessHandle" && name.startsWith("000002");
    const { ended, buffers, done, asked } = await load(io, file, [[0, 200], [200, 100]], (index) => chunkOf(bytes, index)); // biome-ignore format: pairs
    const report = await settles(ended, STORAGE_MS * 3);
    expect(buffers.map((buffer) => [...buffer])).toEqual([[...bytes.subarray(0, 200)], [...bytes.subarray(200)]]);
    expect([...done].sort()).toEqual([0, 1]);
    expect(asked).toContain(2);
    expect(report.warnings[0]).toMatch(/model is loaded without the browser's cache from here on: .*has not answered for 5 s/);
  });

  it("is said where the cache itself is asked for", async () => {
    await filled();
    for (const method of ["getDirectory", "entries", "getFile"]) {
      disk.hangs = (step) => step === method;
      await expect(settles(new ChunkIO().list(), STORAGE_MS + 500), method).rejects.toThrow(/storage has not answered for 5 s/);
    }
    disk.hangs = (step) => step === "removeEntry";
    await expect(settles(new ChunkIO().clear(null), STORAGE_MS + 500)).rejects.toThrow(/storage has not answered/);
    disk.hangs = (step, name) => step === "createSyncAccessHandle" && name !== "meta.json";
    await expect(settles(new ChunkIO().verify(null), STORAGE_MS + 500)).rejects.toThrow(/storage has not answered/);
    disk.hangs = (step) => step === "estimate";
    await expect(settles(new ChunkIO().quota(), STORAGE_MS + 500)).rejects.toThrow(/storage has not answered/);
  });
});

describe("patient", () => {
  it("gives what comes, throws what fails, and hands on what comes late", async () => {
    const late: number[] = [];
    expect(await patient(Promise.resolve(1), "it", 10)).toBe(1);
    await expect(patient(Promise.reject(new RangeError("no")), "it", 10)).rejects.toThrow(RangeError);
    let resolve: (value: number) => void = () => undefined;
    const slow = patient(new Promise<number>((yes) => (resolve = yes)), "it", 10, (value) => late.push(value));
    await expect(settles(slow, 100)).rejects.toThrow("it has not answered for 0.01 s");
    resolve(5);
    await settles(Promise.resolve(), 0);
    expect(late).toEqual([5]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("Schedule.uncached", () => {
  it("has the chunks of one file fetched that were to come from the cache", () => {
    const item = { id: 0, stage: 0, count: 1, outs: [0], decode: 0, encode: 0, block_elements: 1, block_bytes: 1, out_bits: 32, grouped: false, flag: null };
    const schedule = new Schedule([file, file], [{ ...item, file: 0, offset: 0, bytes: 300 }, { ...item, file: 1, offset: 0, bytes: 60 }]); // biome-ignore format: pairs
    schedule.cached(0, [1, 2, 3]);
    schedule.cached(1, [0]);
    schedule.done(schedule.take("cached") as { file: number; index: number });
    schedule.uncached(0);
    expect(schedule.idle.map(({ index }) => index)).toEqual([0, 2, 3, 4]);
    expect(schedule.take("cached")).toEqual({ file: 1, index: 0 });
  });
});
