import { expect, test } from "vitest";
import { scoped } from "../src/scopes.js";

/** A device that keeps its scopes on a stack, and finds an error in each that is named by `found`. */
function device(found: Partial<Record<GPUErrorFilter, string>> = {}): { device: GPUDevice; depth: () => number } {
  const stack: GPUErrorFilter[] = [];
  const made = {
    pushErrorScope: (filter: GPUErrorFilter) => stack.push(filter),
    popErrorScope: () => {
      const filter = stack.pop();
      if (!filter) return Promise.reject(new Error("no scope"));
      const message = found[filter];
      return Promise.resolve(message === undefined ? null : { message });
    },
  };
  return { device: made as unknown as GPUDevice, depth: () => stack.length };
}

test("scopes are closed at once, and say what was found", async () => {
  const { device: gpu, depth } = device({ "out-of-memory": "too much" });
  const { made, error } = scoped(gpu, ["validation", "out-of-memory"], () => depth());
  expect([made, depth()]).toEqual([2, 0]);
  expect((await error)?.message).toBe("too much");
  expect(await scoped(gpu, ["validation"], () => 1).error).toBeNull();
});

test("scopes are closed when what is done in them throws", () => {
  const { device: gpu, depth } = device();
  expect(() =>
    scoped(gpu, ["validation", "internal"], () => {
      throw new Error("thrown");
    }),
  ).toThrow("thrown");
  expect(depth()).toBe(0);
});

test("a scope that is refused is no error", async () => {
  const { device: gpu } = device();
  const refused = { ...gpu, popErrorScope: () => Promise.reject(new Error("the device is lost")) } as unknown as GPUDevice;
  expect(await scoped(refused, ["validation"], () => 1).error).toBeNull();
});
