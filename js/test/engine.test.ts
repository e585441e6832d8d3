import { expect, test } from "vitest";
import { Engine, type Replies } from "../src/engine.js";
import type { Gpu } from "../src/gpu.js";

/** What the engine tells of requests 'a' and 'b' when what they wait for is aborted, and its device lost after `lostAfterMs`. */
async function told(lostAfterMs: number | null): Promise<string[]> {
  const open = new Set(["a", "b"]);
  const said: string[] = [];
  const replies: Replies = {
    requests: open,
    isCancelled: () => false,
    dealtWith: () => undefined,
    result: (id) => said.push(`${id} result`),
    error: (id, code) => {
      if (open.delete(id)) said.push(`${id} ${code}`);
    },
    chunk: async () => true,
    progress: () => undefined,
    lost: (epoch) => said.push(`lost ${epoch}`),
  };
  const engine = new Engine(replies, () => undefined);
  let lose: (info: object) => void = () => undefined;
  const lost = new Promise<object>((resolve) => {
    lose = resolve;
  });
  const aborted = (): Promise<never> => Promise.reject(new DOMException("the mapping was aborted", "AbortError"));
  const gpu = {
    dead: false,
    device: { lost, queue: { onSubmittedWorkDone: async () => undefined } },
    recorder: { flush: () => undefined },
    buffers: { get: () => ({}), range: () => 4 },
    staging: { read: (parts: { offset: number }[]) => (parts[0]?.offset === 0 ? aborted() : Promise.resolve({ sent: aborted() })) },
    release: () => undefined,
  };
  engine.gpu = gpu as unknown as Gpu;
  void lost.then(() => engine.reset("the plug"));
  if (lostAfterMs !== null) setTimeout(() => lose({}), lostAfterMs);
  const read = (id: string, offset: number) => ({ op: "read" as const, id, reads: [{ buffer: 1, offset, size_bytes: 4 }] });
  engine.enqueue({ kind: "batch", instance: "i", seq: 1, epoch: 1, commands: [read("a", 8), read("b", 0)] }, []);
  await expect.poll(() => open.size, { timeout: 5000 }).toBe(0);
  return said.sort();
}

test("what a device's end aborts is told as the loss that follows", async () => {
  expect(await told(50)).toEqual(["a device-lost", "b device-lost", "lost 2"]);
});

test("what is aborted without a loss is told as that", async () => {
  expect(await told(null)).toEqual(["a cancelled", "b cancelled"]);
});

test("the memory of a chunk comes back to the ring that it is from once Python has it", async () => {
  const releases: (() => void)[] = [];
  const replies: Replies = {
    requests: new Set(["a"]),
    isCancelled: () => false,
    dealtWith: () => undefined,
    result: () => undefined,
    error: () => undefined,
    chunk: async (_id, _item, _offset, _total, _bytes, release) => {
      if (release) releases.push(release);
      return true;
    },
    progress: () => undefined,
    lost: () => undefined,
  };
  let free = 0;
  const part = { item: 0, itemOffset: 0, itemBytes: 4 };
  const read = async (_parts: unknown, submitted: () => void, _ready: unknown, send: (...of: unknown[]) => Promise<boolean>) => {
    submitted();
    return { sent: send(part, new Uint8Array(4), () => free++) };
  };
  const engine = new Engine(replies, () => undefined);
  engine.gpu = {
    dead: false,
    device: { lost: new Promise(() => undefined), queue: { onSubmittedWorkDone: async () => undefined } },
    recorder: { flush: () => undefined },
    buffers: { get: () => ({}), range: () => 4 },
    staging: { read },
    release: () => undefined,
  } as unknown as Gpu;
  const command = { op: "read" as const, id: "a", reads: [{ buffer: 1, offset: 0, size_bytes: 4 }] };
  engine.enqueue({ kind: "batch", instance: "i", seq: 1, epoch: 1, commands: [command] }, []);
  await expect.poll(() => releases.length).toBe(1);
  expect(free).toBe(0);
  releases[0]?.();
  expect(free).toBe(1);
});
