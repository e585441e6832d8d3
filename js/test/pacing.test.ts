import { expect, test, vi } from "vitest";
import { type Cost, newCost, Pacer } from "../src/pacing.js";

/** A queue whose submits are done when the test says so, at the time that it says. */
function clock(): { queue: GPUQueue; end: (at: number) => Promise<void>; set: (at: number) => void } {
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  const waiting: (() => void)[] = [];
  const queue = { onSubmittedWorkDone: () => new Promise<void>((resolve) => waiting.push(resolve)) } as unknown as GPUQueue;
  return {
    queue,
    set: (at) => {
      now = at;
    },
    end: async (at) => {
      now = at;
      waiting.shift()?.();
      await Promise.resolve();
      await Promise.resolve();
    },
  };
}

/** A kernel that has ended before. */
function known(): Cost {
  return { ...newCost(), proven: true };
}

/** Add dispatches until the submit is full; returns how many. */
function fill(pacer: Pacer, cost = known(), groups = 1): number {
  for (let count = 1; ; count++) {
    pacer.add(cost, groups);
    if (pacer.full) return count;
  }
}

test("slow dispatches make short submits, fast ones long ones", async () => {
  const { queue, end, set } = clock();
  const pacer = new Pacer(queue, () => undefined);
  const cost = known();
  expect(fill(pacer, cost)).toBe(17);
  pacer.submitted([]);
  await end(1700);
  expect(fill(pacer, cost)).toBe(1);
  pacer.submitted([]);
  await end(1701);
  set(1701);
  const counts: number[] = [];
  for (let at = 1800; counts.at(-1) !== 4096; at += 100) {
    counts.push(fill(pacer, cost));
    set(at);
    pacer.submitted([]);
    await end(at + 1);
    if (counts.length > 20) break;
  }
  expect(counts.at(-1)).toBe(4096);
  expect(counts.length).toBeLessThan(8);
});

test("submits that end in the same moment teach nothing wrong", async () => {
  const { queue, end } = clock();
  const pacer = new Pacer(queue, () => undefined);
  const cost = known();
  fill(pacer, cost);
  pacer.submitted([]);
  fill(pacer, cost);
  pacer.submitted([]);
  await end(170);
  await end(170);
  expect(cost.msPerGroup).toBeCloseTo(10);
  expect(fill(pacer, cost)).toBe(5);
});

test("the price is by workgroup, and by pipeline", async () => {
  const { queue, end } = clock();
  const pacer = new Pacer(queue, () => undefined);
  const [slow, fast] = [known(), known()];
  pacer.add(slow, 100);
  pacer.submitted([]);
  await end(100);
  pacer.add(fast, 100);
  pacer.submitted([]);
  await end(101);
  expect(slow.msPerGroup).toBeCloseTo(1);
  expect(fast.msPerGroup).toBeCloseTo(0.01);
  pacer.add(fast, 4000);
  expect(pacer.full).toBe(false);
  pacer.add(slow, 50);
  expect(pacer.full).toBe(true);
});

test("two submits are under way, a third waits", async () => {
  const { queue, end } = clock();
  let finished = 0;
  const pacer = new Pacer(queue, () => finished++);
  for (const expected of [false, false, true]) {
    fill(pacer);
    pacer.submitted([]);
    expect(pacer.wait() !== undefined).toBe(expected);
  }
  await end(10);
  expect([finished, pacer.wait(), pacer.working]).toEqual([1, undefined, true]);
  await end(20);
  await end(30);
  expect([finished, pacer.working]).toEqual([3, false]);
});

test("a kernel that has never ended gets a submit of its own", async () => {
  const { queue, end } = clock();
  const pacer = new Pacer(queue, () => undefined);
  const [old, fresh] = [known(), newCost()];
  pacer.add(old, 1);
  expect([pacer.full, pacer.wantsOwn(old), pacer.wantsOwn(fresh)]).toEqual([false, false, true]);
  pacer.submitted(["old"]);
  expect(pacer.wantsOwn(fresh)).toBe(false);
  pacer.add(fresh, 1);
  expect(pacer.full).toBe(true);
  pacer.submitted(["fresh"]);
  await end(1);
  await end(2);
  pacer.add(old, 1);
  expect([fresh.proven, pacer.wantsOwn(fresh), pacer.full]).toEqual([true, false, false]);
});

test("the oldest submit without an end is named, whatever was sent after it", async () => {
  const { queue, end, set } = clock();
  const pacer = new Pacer(queue, () => undefined);
  expect(pacer.oldest()).toBe("");
  const names = [["first"], ["spin"], ["reduce_sum"]];
  for (const kernels of names) pacer.submitted(kernels);
  expect(pacer.oldest()).toBe("'first'");
  await end(10);
  set(15_000);
  expect(pacer.oldest()).toBe("'spin'");
  // The loss of the device ends all in one go, before it is said.
  await end(15_001);
  await end(15_001);
  expect([pacer.working, pacer.oldest()]).toEqual([false, "'spin'"]);
  set(16_000);
  expect(pacer.oldest()).toBe("");
});

test("of several kernels in one submit all are named, and a few of many", () => {
  const { queue } = clock();
  const pacer = new Pacer(queue, () => undefined);
  pacer.submitted(["a", "b", "c"]);
  expect(pacer.oldest()).toBe("one of 'a', 'b', 'c'");
  const many = new Pacer(queue, () => undefined);
  many.submitted(Array.from({ length: 20 }, (_, at) => `k${at}`));
  expect(many.oldest()).toMatch(/'k7' and 12 more$/);
});
