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

test("reset: what is pending fails, the next call gets a new device", async () => {
  const python = new FakePython();
  const x = python.array(Float32Array.of(3));
  equal(await python.floats(x), [3]);
  const pending = failure(python.ask({ op: "synchronize" }));
  python.deliver({ kind: "reset", instance: python.instance, reason: "test" });
  equal((await pending).code, "device-lost");
  equal(python.epoch, 2);
  equal((await failure(python.read(x))).code, "unknown-handle");
  equal(await python.floats(python.array(Float32Array.of(4))), [4]);
  equal((await python.ask({ op: "get-device" })).value.epoch, 2);
  python.runtime.destroy();
});

test("a batch for a device that is gone", async () => {
  const python = new FakePython();
  await python.ask({ op: "get-device" });
  python.deliver({ kind: "reset", instance: python.instance, reason: "test" });
  python.epoch = 1;
  const x = python.array(Float32Array.of(3));
  equal((await failure(python.read(x))).code, "device-lost");
  python.epoch = 2;
  equal((await python.ask({ op: "get-memory" })).value, { buffers: 0, bytes: 0, peak_bytes: 0 });
  python.runtime.destroy();
});

test("the device is lost on its own", async () => {
  const python = new FakePython();
  await python.ask({ op: "get-device" });
  const { pipeline } = python.kernel(SQUARE);
  const x = python.array(Float32Array.of(3));
  const y = python.buffer(4);
  square(python, pipeline, x, y, 1);
  const pending = failure(python.read(y));
  python.runtime.engine.gpu?.device.destroy();
  const error = await pending;
  ok(error.code === "device-lost", `${error.code}: ${error.message}`);
  equal(python.epoch, 2);
  equal(await python.floats(python.array(Float32Array.of(4))), [4]);
  python.runtime.destroy();
});

// The last test of all: SwiftShader goes on computing for ever, with one of its threads.
test("a shader that never ends, and the next call works", async () => {
  const python = new FakePython();
  const forever = python.kernel(FOREVER, {}, "forever");
  await forever.compiled;
  const spun = python.array(Float32Array.of(0, 0));
  python.tell({ op: "dispatch", pipeline: forever.pipeline, workgroups: [1], args: [{ group: 0, binding: 0, buffer: spun }] });
  const pending = failure(python.read(spun));
  await sleep(500);
  const before = performance.now();
  python.deliver({ kind: "reset", instance: python.instance, reason: "no answer" });
  equal((await pending).code, "device-lost");
  equal(await python.floats(python.array(Float32Array.of(4, 5))), [4, 5]);
  ok(performance.now() - before < 5000, "at once");
  const { pipeline } = python.kernel(SQUARE);
  const x = python.array(Float32Array.of(3));
  const y = python.buffer(4);
  square(python, pipeline, x, y, 1);
  equal(await python.floats(y), [9]);
  python.runtime.destroy();
});
