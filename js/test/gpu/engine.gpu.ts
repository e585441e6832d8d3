import { equal, failure, ok, test } from "./harness.js";
import { FakePython } from "./python.js";
import { SQUARE, square } from "./square.js";

test("get-device", async () => {
  const python = new FakePython();
  const { value } = await python.ask({ op: "get-device" });
  equal(value.epoch, 1);
  ok(typeof (value.limits as Record<string, unknown>).maxBufferSize === "number", "limits are numbers");
  python.runtime.destroy();
  return { vendor: value.vendor, architecture: value.architecture, features: value.features, limits: value.limits };
});

test("compile, write, dispatch, read", async () => {
  const python = new FakePython();
  const { pipeline, compiled } = python.kernel(SQUARE);
  const x = python.array(Float32Array.from({ length: 100 }, (_, i) => i));
  const y = python.buffer(400);
  square(python, pipeline, x, y, 100, 2);
  equal(
    await python.floats(y),
    Array.from({ length: 100 }, (_, i) => 2 * i * i),
  );
  const { value } = await compiled;
  equal(value.entry_point, "main");
  equal(value.workgroup_size, [64, 1, 1]);
  python.runtime.destroy();
});

test("a syntax error has its line and column, and the next call works", async () => {
  const python = new FakePython();
  const bad = python.kernel("@compute @workgroup_size(1) fn main() {\n  let x = ;\n}", {}, "broken");
  const error = await failure(bad.compiled);
  equal([error.code, error.details?.line, error.details?.column], ["shader", 2, 11]);
  python.tell({ op: "dispatch", pipeline: bad.pipeline, workgroups: [1], args: [] });
  equal((await failure(python.ask({ op: "synchronize" }))).code, "shader");
  await python.ask({ op: "synchronize" });
  python.runtime.destroy();
});

test("errors are kept for the next request only", async () => {
  const python = new FakePython();
  await python.ask({ op: "get-device" });
  python.tell({ op: "free-buffer", buffer: 77 });
  python.tell({ op: "clear-buffer", buffer: 77, offset: 0, size_bytes: 4 });
  const good = python.array(Float32Array.of(1, 2));
  equal((await failure(python.read(good))).code, "unknown-handle");
  equal(await python.floats(good), [1, 2]);
  python.runtime.destroy();
});

test("what WebGPU refuses is named", async () => {
  const python = new FakePython();
  const { pipeline } = python.kernel(SQUARE, {}, "squaring");
  const x = python.array(Float32Array.of(1, 2));
  square(python, pipeline, x, x, 2);
  const error = await failure(python.read(x));
  equal(error.code, "validation");
  ok(error.message.includes("squaring"), error.message);
  equal(await python.floats(x), [1, 2]);
  python.tell({ op: "dispatch", pipeline, workgroups: [70000, 1, 1], args: [] });
  const limit = await failure(python.ask({ op: "synchronize" }));
  equal([limit.code, limit.details?.wanted, limit.details?.allowed], ["limit", 70000, 65535]);
  python.tell({ op: "dispatch", pipeline, workgroups: [1, 1, 1], args: [{ group: 0, binding: 0, buffer: x }] });
  const binding = await failure(python.ask({ op: "synchronize" }));
  ok(binding.code === "binding" && binding.message.includes("y (@group(0) @binding(1))"), binding.message);
  python.runtime.destroy();
});

test("10 MiB there and back in chunks, and a partial read", async () => {
  const python = new FakePython();
  const values = new Uint32Array(10 * 2 ** 18).map((_, i) => Math.imul(i, 2654435761));
  const buffer = python.array(values);
  const [bytes] = await python.read(buffer);
  const back = new Uint32Array(bytes?.buffer ?? new ArrayBuffer(0));
  ok(back.length === values.length && back.every((value, i) => value === values[i]), "the same bytes");
  const { items } = await python.ask({
    op: "read",
    reads: [
      { buffer, offset: 8, size_bytes: 12 },
      { buffer, offset: 4 * 2 ** 20 - 4, size_bytes: 8 },
    ],
  });
  equal(
    items.map((item) => [...new Uint32Array(item.buffer)]),
    [[...values.slice(2, 5)], [...values.slice(2 ** 20 - 1, 2 ** 20 + 1)]],
  );
  python.runtime.destroy();
});

test("a write does not overtake a dispatch", async () => {
  const python = new FakePython();
  const { pipeline } = python.kernel(SQUARE);
  const x = python.array(Float32Array.of(3));
  const y = python.buffer(4);
  square(python, pipeline, x, y, 1);
  python.tell({ op: "write-buffer", buffer: x, offset: 0, data: python.data(Float32Array.of(5)) });
  const [a, b] = await python.read(x, y);
  equal([...new Float32Array(a?.buffer ?? new ArrayBuffer(0)), ...new Float32Array(b?.buffer ?? new ArrayBuffer(0))], [5, 9]);
  python.runtime.destroy();
});

test("a freed buffer is still there for what was recorded before", async () => {
  const python = new FakePython();
  const { pipeline } = python.kernel(SQUARE);
  const x = python.array(Float32Array.of(3));
  const y = python.buffer(4);
  square(python, pipeline, x, y, 1);
  python.tell({ op: "free-buffer", buffer: x });
  equal(await python.floats(y), [9]);
  equal((await python.ask({ op: "get-memory" })).value, { buffers: 1, bytes: 4, peak_bytes: 8 });
  python.runtime.destroy();
});

test("1000 dispatches with changing uniforms", async () => {
  const python = new FakePython();
  const { pipeline } = python.kernel(SQUARE);
  const x = python.array(Float32Array.of(1, 2));
  const outputs = Array.from({ length: 1000 }, () => python.buffer(8));
  for (const [i, y] of outputs.entries()) square(python, pipeline, x, y, 2, i);
  const items = await python.read(...outputs);
  equal(
    items.map((item) => new Float32Array(item.buffer)[1]),
    outputs.map((_, i) => 4 * i),
  );
  python.runtime.destroy();
});
