import { expect, test, vi } from "vitest";
import { newCost, Pacer } from "../src/pacing.js";

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

/** Add dispatches until the submit is full; returns how many. */
function fill(pacer: Pacer, cost = newCost(), groups = 1): number {
  for (let count = 1; ; count++) {
    pacer.add(cost, groups);
    if (pacer.full) return count;
  }
}

test("slow dispatches make short submits, fast ones long ones", async () => {
  const { queue, end, set } = clock();
  const pacer = new Pacer(queue, () => undefined);
  const cost = newCost();
  expect(fill(pacer, cost)).toBe(17);
  pacer.submitted();
  await end(1700);
  expect(fill(pacer, cost)).toBe(1);
  pacer.submitted();
  await end(1701);
  set(1701);
  const counts: number[] = [];
  for (let at = 1800; counts.at(-1) !== 4096; at += 100) {
    counts.push(fill(pacer, cost));
    set(at);
    pacer.submitted();
    await end(at + 1);
    if (counts.length > 20) break;
  }
  expect(counts.at(-1)).toBe(4096);
  expect(counts.length).toBeLessThan(8);
});

test("submits that end in the same moment teach nothing wrong", async () => {
  const { queue, end } = clock();
  const pacer = new Pacer(queue, () => undefined);
  const cost = newCost();
  fill(pacer, cost);
  pacer.submitted();
  fill(pacer, cost);
  pacer.submitted();
  await end(170);
  await end(170);
  expect(cost.msPerGroup).toBeCloseTo(10);
  expect(fill(pacer, cost)).toBe(5);
});

test("the price is by workgroup, and by pipeline", async () => {
  const { queue, end } = clock();
  const pacer = new Pacer(queue, () => undefined);
  const [slow, fast] = [newCost(), newCost()];
  pacer.add(slow, 100);
  pacer.submitted();
  await end(100);
  pacer.add(fast, 100);
  pacer.submitted();
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
    pacer.submitted();
    expect(pacer.wait() !== undefined).toBe(expected);
  }
  await end(10);
  expect([finished, pacer.wait(), pacer.working]).toEqual([1, undefined, true]);
  await end(20);
  await end(30);
  expect([finished, pacer.working]).toEqual([3, false]);
});
