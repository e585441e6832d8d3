import { beforeAll, expect, test, vi } from "vitest";
import { BufferStore, holdGroup } from "../src/buffers.js";
import { EngineError } from "../src/errors.js";
import { Ledger } from "../src/ledger.js";
import type { CachedGroup } from "../src/pipelines.js";

beforeAll(() => {
  vi.stubGlobal("GPUBufferUsage", { STORAGE: 1, UNIFORM: 2, COPY_SRC: 4, COPY_DST: 8, INDIRECT: 16 });
});

/** A device that has memory for buffers up to `most` bytes, and tells it late, as a real one does. */
function store(most: number): { buffers: BufferStore; ledger: Ledger; heard: EngineError[] } {
  const heard: EngineError[] = [];
  const ledger = new Ledger((error) => heard.push(error));
  const scopes: (GPUError | null)[] = [];
  const device = {
    limits: { maxBufferSize: 1 << 30 },
    pushErrorScope: () => scopes.push(null),
    popErrorScope: () => Promise.resolve(scopes.pop() ?? null),
    createBuffer: ({ size }: GPUBufferDescriptor) => {
      if (size > most) scopes[scopes.length - 1] = { message: "out of memory" };
      return { size, destroy: () => undefined };
    },
  };
  return { buffers: new BufferStore(device as unknown as GPUDevice, ledger), ledger, heard };
}

test("memory is counted, with its peak", () => {
  const { buffers } = store(1 << 30);
  buffers.create(1, 1000);
  buffers.create(2, 0);
  buffers.create(3, 6);
  buffers.remove(1);
  buffers.remove(1);
  expect(buffers.memory).toEqual({ buffers: 2, bytes: 12, peak_bytes: 1012 });
});

test("too big a buffer is refused at once, with both numbers", () => {
  const { buffers } = store(1 << 30);
  expect(() => buffers.create(1, 2 ** 31)).toThrow(/2147483648 wanted.*maxBufferSize is 1073741824/);
});

test("running out of memory answers the next request, and the next one is well", async () => {
  const { buffers, ledger, heard } = store(1 << 21);
  buffers.create(1, 1 << 20);
  buffers.create(2, 1 << 22, "the big one");
  const claim = ledger.claim();
  expect(claim.error).toBeUndefined();
  const error = await claim.settle();
  expect([error?.code, error?.details]).toEqual(["out-of-memory", { size_bytes: 1 << 22, held_bytes: 1 << 20 }]);
  expect(error?.message).toMatch(/no memory for the big one of 4194304 bytes beside the 1 MiB/);
  expect(buffers.memory).toMatchObject({ buffers: 1, bytes: 1 << 20 });
  expect(heard).toEqual([error]);
  expect(await ledger.claim().settle()).toBeUndefined();
});

test("a range must lie inside, in multiples of 4", () => {
  const { buffers } = store(1 << 30);
  const record = buffers.create(1, 16);
  expect(buffers.range(record, 4, 12, "x")).toBe(12);
  for (const [offset, size] of [
    [4, 16],
    [2, 4],
    [0, 3],
    [-4, 4],
  ] as const) {
    expect(() => buffers.range(record, offset, size, "x")).toThrow(EngineError);
  }
});

test("freeing a buffer forgets its bind groups, and a long-lived one does not collect dead ones", () => {
  const { buffers } = store(1 << 30);
  const [kept, ...others] = Array.from({ length: 1001 }, (_, i) => buffers.create(i, 4));
  if (!kept) throw new Error("no buffer");
  const cache = new Map<string, CachedGroup>();
  for (const other of others) {
    const group: CachedGroup = { key: `${other.handle}`, cache, group: {} as GPUBindGroup, buffers: [kept, other], dead: false };
    cache.set(group.key, group);
    holdGroup(kept, group);
    holdGroup(other, group);
    buffers.remove(other.handle);
  }
  expect(cache.size).toBe(0);
  expect(kept.groups.length).toBeLessThan(200);
});
