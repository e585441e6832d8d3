import { equal, failure, ok, test } from "./harness.js";
import { FakePython } from "./python.js";
import { SQUARE, square } from "./square.js";

const FOREVER = `
@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@compute @workgroup_size(1) fn main() { loop { x[1] += 1.0; if (x[0] > 1.0) { break; } } }`;

const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

// Alone in its browser: SwiftShader goes on computing for ever with one of its threads, and later work may wait behind it.
test("a shader that never ends, and the next call works", async () => {
  const python = new FakePython();
  const forever = python.kernel(FOREVER, {}, "forever");
  await forever.compiled;
  const spun = python.array(Float32Array.of(0, 0));
  python.tell({ op: "dispatch", pipeline: forever.pipeline, workgroups: [1], args: [{ group: 0, binding: 0, buffer: spun }] });
  const later = python.kernel(SQUARE, {}, "later");
  const z = python.buffer(4);
  square(python, later.pipeline, python.array(Float32Array.of(3)), z, 1);
  const pending = failure(python.read(spun, z));
  await sleep(500);
  const before = performance.now();
  python.deliver({ kind: "reset", instance: python.instance, reason: "no answer" });
  const lost = await pending;
  equal(lost.code, "device-lost");
  ok(lost.message.includes("'forever', the oldest kernel"), lost.message);
  equal(await python.floats(python.array(Float32Array.of(4, 5))), [4, 5]);
  ok(performance.now() - before < 5000, "at once");
  const { pipeline } = python.kernel(SQUARE);
  const x = python.array(Float32Array.of(3));
  const y = python.buffer(4);
  square(python, pipeline, x, y, 1);
  equal(await python.floats(y), [9]);
  python.runtime.destroy();
});
