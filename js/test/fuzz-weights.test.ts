/** Servers that answer anything, and a cache that holds anything. */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { fetchChunks, Gate } from "../src/weights/fetching.js";
import { ChunkIO } from "../src/weights/io.js";
import { list } from "../src/weights/store.js";
import { FakeDisk, fileOf } from "./disk.js";
import { numRuns, options, outcome, say } from "./fuzzing.js";

beforeEach(say);

describe("weights", () => {
  const content = Uint8Array.from({ length: 300 }, (_, at) => (at * 7) % 251);

  beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  /** Let time pass until something settles. */
  async function settled<T>(work: Promise<T>): Promise<T> {
    let over = false;
    const ended = work.finally(() => {
      over = true;
    });
    ended.catch(() => undefined);
    for (let turn = 0; !over && turn < 200; turn++) await vi.advanceTimersByTimeAsync(2000);
    expect(over, "it never ends").toBe(true);
    return ended;
  }

  async function fill(disk: FakeDisk, key: string, entries: readonly (readonly [string, string])[]): Promise<void> {
    const root = (await disk.storage.getDirectory()) as unknown as FileSystemDirectoryHandle;
    const folder = await (await root.getDirectoryHandle("webgpu_widget-weights", { create: true })).getDirectoryHandle(key, { create: true });
    for (const [name, text] of entries) {
      const file = (await folder.getFileHandle(name, { create: true })) as unknown as {
        createSyncAccessHandle(): Promise<{ write(bytes: Uint8Array): number }>;
      };
      (await file.createSyncAccessHandle()).write(new TextEncoder().encode(text));
    }
  }

  it("are the file's bytes, or an error that says so, whatever a server answers", async () => {
    const values = fc.oneof(
      fc.constantFrom("bytes 64-191/300", "bytes 64-191/*", "bytes 0-1/2", "300", "128", "0", "-1", "1e99", "NaN", "Infinity", ""),
      fc.stringMatching(/^[ -~]{0,30}$/),
    );
    const headers = fc.dictionary(fc.constantFrom("Content-Range", "Content-Length", "ETag", "Last-Modified", "Retry-After", "Content-Encoding"), values);
    const status = fc.oneof(fc.constantFrom(200, 206, 206, 206, 403, 404, 416, 429, 503), fc.integer({ min: 200, max: 599 }));
    const answer = fc.record({ status, headers, from: fc.nat(299), length: fc.nat(300) });
    await fc.assert(
      fc.asyncProperty(fc.array(answer, { minLength: 1, maxLength: 4 }), fc.boolean(), async (answers, ranges) => {
        let asked = 0;
        vi.stubGlobal("fetch", async () => {
          const { status, headers, from, length } = answers[asked++ % answers.length] as (typeof answers)[number];
          const body = [204, 205, 304].includes(status) ? null : content.slice(from, from + length);
          return new Response(body, { status, headers });
        });
        const file = { ...fileOf(content, { key: "fuzz" }), url: "http://server/file", ranges, validator: "" };
        const load = async (): Promise<void> => {
          const signal = new AbortController().signal;
          const asks = { headers: {}, signal, gate: new Gate(), moved: () => undefined, allocate: (size: number) => new ArrayBuffer(size) };
          for await (const { index, bytes } of fetchChunks(file, 1, 2, asks)) {
            expect([1, 2]).toContain(index);
            expect(bytes.byteLength).toBe(file.chunk_bytes);
          }
        };
        expect(["whole", "weights", "integrity"]).toContain(await settled(outcome(load())));
        expect(asked).toBeLessThanOrEqual(13);
      }),
      { ...options, numRuns: Math.ceil(numRuns / 4) },
    );
  });

  it("are loaded again where the cache holds anything else", async () => {
    const name = fc.oneof(fc.constantFrom("meta.json", "checked.json", "0.ab", "1.", "-1.a", "4.z", "99.ff"), fc.stringMatching(/^[ -.0-~]{1,12}$/));
    const text = fc.oneof(fc.constantFrom("null", "{}", "[]", '{"sha256":"ab","digests":[1,null,{},"x",[]]}', '{"sha256":"ab","digests":{}}', "{"), fc.json());
    let count = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, text), { maxLength: 5 }), async (entries) => {
        const disk = new FakeDisk();
        vi.stubGlobal("navigator", { storage: disk.storage });
        const key = `fuzz${++count}`;
        await fill(disk, key, entries);
        const io = new ChunkIO();
        const opened = await settled(io.open({ ...fileOf(content, { key }), sha256: "ab" }));
        for (const [index] of opened.have) expect(index >= 0 && index < 5).toBe(true);
        for (const found of await settled(list())) expect([typeof found.name, Number.isFinite(found.size)]).toEqual(["string", true]);
      }),
      { ...options, numRuns: Math.ceil(numRuns / 4) },
    );
  });
});
