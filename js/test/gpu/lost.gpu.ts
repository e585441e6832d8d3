import { equal, failure, ok, test } from "./harness.js";
import { FakePython } from "./python.js";
import { SQUARE, square } from "./square.js";

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
