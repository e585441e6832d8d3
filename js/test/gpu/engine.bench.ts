/** Figures of the engine beside a hand-written loop on the same page and adapter. */
import type { Batch } from "../../src/protocol.gen.js";
import { equal, ok, test } from "./harness.js";
import { FakePython } from "./python.js";

const STEP = `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> add: vec4f;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { y[id.x] = x[id.x] * 0.5 + add.x; }
}`;

const N = 64;
const { STORAGE, COPY_SRC, COPY_DST, MAP_READ, UNIFORM } = GPUBufferUsage;

interface Bare {
  device: GPUDevice;
  pipeline: GPUComputePipeline;
  groups: GPUBindGroup[];
  uniform: GPUBindGroup;
  buffers: GPUBuffer[];
  staging: GPUBuffer;
}

async function bare(): Promise<Bare> {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter?.requestDevice();
  if (!device) throw new Error("no device");
  const module = device.createShaderModule({ code: STEP });
  const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute: { module } });
  const buffers = [0, 1].map(() => device.createBuffer({ size: 4 * N, usage: STORAGE | COPY_SRC | COPY_DST }));
  const [a, b] = buffers;
  if (!a || !b) throw new Error("no buffers");
  const add = device.createBuffer({ size: 16, usage: UNIFORM | COPY_DST });
  device.queue.writeBuffer(add, 0, Float32Array.of(1, 0, 0, 0));
  const group = (x: GPUBuffer, y: GPUBuffer): GPUBindGroup =>
    device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [x, y].map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
  const uniform = device.createBindGroup({ layout: pipeline.getBindGroupLayout(1), entries: [{ binding: 0, resource: { buffer: add } }] });
  const staging = device.createBuffer({ size: 4 * N, usage: MAP_READ | COPY_DST });
  return { device, pipeline, groups: [group(a, b), group(b, a)], uniform, buffers, staging };
}

async function bareRead({ device, buffers, staging }: Bare): Promise<number> {
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffers[0] as GPUBuffer, 0, staging, 0, 4 * N);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const value = new Float32Array(staging.getMappedRange())[0] ?? Number.NaN;
  staging.unmap();
  return value;
}

/** The loop that a person would write: one pass, bind groups made before. */
function bareDispatches({ device, pipeline, groups, uniform }: Bare, count: number): void {
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(1, uniform);
  for (let i = 0; i < count; i++) {
    pass.setBindGroup(0, groups[i % 2]);
    pass.dispatchWorkgroups(1);
  }
  pass.end();
  device.queue.submit([encoder.finish()]);
}

async function median(repeats: number, run: () => Promise<number>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < repeats; i++) times.push(await run());
  return times.sort((a, b) => a - b)[Math.floor(repeats / 2)] ?? Number.NaN;
}

const since = (start: number): number => performance.now() - start;
const rounded = (figures: Record<string, number>): Record<string, number> =>
  Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, Number(value.toPrecision(4))]));

/** What 10,000 calls in a cell look like on the wire. */
function batches(python: FakePython, pipeline: number, a: number, b: number, count: number): { text: string; blob: Uint8Array<ArrayBuffer> }[] {
  const made = [];
  for (let first = 0; first < count; first += 512) {
    const size = Math.min(512, count - first);
    const blob = new Float32Array(4 * size);
    const commands = Array.from({ length: size }, (_, i) => {
      blob[4 * i] = 1 + (first + i) * 1e-9;
      const [x, y] = (first + i) % 2 ? [b, a] : [a, b];
      const args = [
        { group: 0, binding: 0, buffer: x },
        { group: 0, binding: 1, buffer: y },
        { group: 1, binding: 0, uniform: [0, 16 * i, 16] },
      ];
      return { op: "dispatch", pipeline, workgroups: [1, 1, 1], args };
    });
    made.push({ text: JSON.stringify({ kind: "batch", instance: python.instance, seq: 0, epoch: 1, commands }), blob: new Uint8Array(blob.buffer) });
  }
  return made;
}

test("10,000 dispatches", async () => {
  const count = 10_000;
  const hand = await bare();
  bareDispatches(hand, 100);
  await bareRead(hand);
  const handMs = await median(5, async () => {
    const start = performance.now();
    bareDispatches(hand, count);
    ok((await bareRead(hand)) > 1.9, "ran");
    return since(start);
  });
  const python = new FakePython();
  const { pipeline, compiled } = python.kernel(STEP);
  await compiled;
  const [a, b] = [python.array(new Float32Array(N)), python.buffer(4 * N)];
  await python.read(a);
  let scriptMs = 0;
  const engineMs = await median(5, async () => {
    const wire = batches(python, pipeline, a, b, count);
    const start = performance.now();
    for (const { text, blob } of wire) {
      const batch = JSON.parse(text) as Batch;
      python.sendBatch(batch, [blob]);
    }
    scriptMs = since(start);
    ok(((await python.floats(a))[0] ?? 0) > 1.9, "ran");
    return since(start);
  });
  python.runtime.destroy();
  hand.device.destroy();
  return rounded({ hand_ms: handMs, engine_ms: engineMs, ratio: engineMs / handMs, engine_us_per_dispatch: (1000 * engineMs) / count, decode_ms: scriptMs });
});

test("1,000 chained dispatches as a program, 20 times", async () => {
  const count = 1000;
  const times = 20;
  const hand = await bare();
  bareDispatches(hand, count);
  await bareRead(hand);
  const handMs = await median(3, async () => {
    const start = performance.now();
    for (let i = 0; i < times; i++) bareDispatches(hand, count);
    ok((await bareRead(hand)) > 1.9, "ran");
    return since(start);
  });
  const python = new FakePython();
  const { pipeline } = python.kernel(STEP);
  const [a, b] = [python.array(new Float32Array(N)), python.buffer(4 * N)];
  const program = python.handle();
  const uniform = python.data(Float32Array.of(1, 0, 0, 0));
  const commands = Array.from({ length: count }, (_, i) => {
    const [x, y] = i % 2 ? [b, a] : [a, b];
    const args = [
      { group: 0, binding: 0, buffer: x },
      { group: 0, binding: 1, buffer: y },
      { group: 1, binding: 0, uniform },
    ];
    return { op: "dispatch" as const, pipeline, workgroups: [1, 1, 1], args };
  });
  python.tell({ op: "create-program", program, commands });
  await python.read(a);
  const programMs = await median(3, async () => {
    const start = performance.now();
    python.tell({ op: "run-program", program, times });
    ok(((await python.floats(a))[0] ?? 0) > 1.9, "ran");
    return since(start);
  });
  python.runtime.destroy();
  hand.device.destroy();
  return rounded({ hand_ms: handMs, program_ms: programMs, ratio: programMs / handMs, program_us_per_dispatch: (1000 * programMs) / count / times });
});

test("one dispatch with a read-back", async () => {
  const hand = await bare();
  const handMs = await median(50, async () => {
    const start = performance.now();
    bareDispatches(hand, 1);
    await bareRead(hand);
    return since(start);
  });
  const python = new FakePython();
  const { pipeline } = python.kernel(STEP);
  const [a, b] = [python.array(new Float32Array(N)), python.buffer(4 * N)];
  const [text] = batches(python, pipeline, b, a, 1);
  await python.read(a);
  const engineMs = await median(50, async () => {
    const start = performance.now();
    if (text) python.sendBatch(JSON.parse(text.text) as Batch, [text.blob]);
    await python.read(a);
    return since(start);
  });
  python.runtime.destroy();
  hand.device.destroy();
  return rounded({ hand_ms: handMs, engine_ms: engineMs });
});

test("64 MiB up and down, within the page", async () => {
  const python = new FakePython();
  const values = new Uint32Array(16 << 20).map((_, i) => i);
  const chunk = 1 << 20;
  const buffer = python.buffer(values.byteLength);
  await python.read(buffer);
  const upMs = await median(3, async () => {
    const start = performance.now();
    for (let at = 0; at < values.length; at += chunk) {
      python.tell({ op: "write-buffer", buffer, offset: 4 * at, data: python.data(values.subarray(at, at + chunk)) });
      python.send();
    }
    await python.ask({ op: "synchronize" });
    return since(start);
  });
  const downMs = await median(3, async () => {
    const start = performance.now();
    const [bytes] = await python.read(buffer);
    equal(new Uint32Array(bytes?.buffer ?? new ArrayBuffer(0)).at(-1), values.length - 1);
    return since(start);
  });
  python.runtime.destroy();
  return rounded({ up_mib_per_s: 64_000 / upMs, down_mib_per_s: 64_000 / downMs });
});
