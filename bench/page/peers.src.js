// One page, one run: square float32 products by this package's kernels and by three libraries. Products are chained, x = x @ b, and a value of the
// last one is read, so that nothing can be skipped; a product of each is checked against float64 before the timing and after it, and says WRONG where it is not right.
import { init, defaultDevice, numpy as np, blockUntilReady } from "@jax-js/jax";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-webgpu";

const post = (path, body) => fetch(path, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

function random(n, scale) {
  const x = new Float32Array(n * n);
  for (let i = 0; i < x.length; i++) x[i] = (Math.random() * 2 - 1) * scale;
  return x;
}

// A model of one MatMul node, in ONNX's protobuf, written by hand.
function onnxModel(n) {
  const bytes = [];
  const varint = (v) => { const out = []; while (v > 127) { out.push((v & 127) | 128); v = Math.floor(v / 128); } out.push(v); return out; };
  const field = (number, data) => [...varint(number * 8 + 2), ...varint(data.length), ...data];
  const int = (number, v) => [...varint(number * 8), ...varint(v)];
  const text = (s) => [...new TextEncoder().encode(s)];
  const dim = field(1, int(1, n));
  const value = (name) => [...field(1, text(name)), ...field(2, field(1, [...int(1, 1), ...field(2, [...dim, ...dim])]))];
  const node = [...field(1, text("A")), ...field(1, text("B")), ...field(2, text("C")), ...field(4, text("MatMul"))];
  const graph = [...field(1, node), ...field(2, text("g")), ...field(11, value("A")), ...field(11, value("B")), ...field(12, value("C"))];
  bytes.push(...int(1, 8), ...field(7, graph), ...field(8, [...field(1, []), ...int(2, 13)]));
  return new Uint8Array(bytes);
}

const libraries = {
  async ours(n, a, b, jobs) {
    const job = jobs.find((j) => j.size[0] === n);
    const adapter = await navigator.gpu.requestAdapter();
    const device = await adapter.requestDevice({
      requiredFeatures: ["subgroups"].filter((name) => adapter.features.has(name)),
      requiredLimits: Object.fromEntries(["maxBufferSize", "maxStorageBufferBindingSize", "maxComputeWorkgroupStorageSize", "maxComputeInvocationsPerWorkgroup"].map((k) => [k, adapter.limits[k]])),
    });
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
    const make = (data) => { const buffer = device.createBuffer({ size: data.byteLength, usage }); device.queue.writeBuffer(buffer, 0, data); return buffer; };
    const [A, B] = [make(a), make(b)];
    const [X, Y] = [0, 1].map(() => device.createBuffer({ size: n * n * 4, usage }));
    const owned = job.sizes.slice(3).map((size) => device.createBuffer({ size, usage }));
    const compiled = [];
    for (const { wgsl, constants } of job.program) compiled.push(await device.createComputePipelineAsync({ layout: "auto", compute: { module: device.createShaderModule({ code: wgsl }), constants } }));
    const chain = (from, to) => job.program.map((step, i) => {
      const entries = [[], []];
      for (const [group, binding, index, offset, size] of step.args) {
        let resource = { buffer: [from, B, to, ...owned][index], offset, size };
        if (index === "uniform") {
          const buffer = device.createBuffer({ size: Math.ceil(offset.length / 4) * 16, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
          device.queue.writeBuffer(buffer, 0, new Uint32Array(offset));
          resource = { buffer };
        }
        entries[group].push({ binding, resource });
      }
      return { pipeline: compiled[i], groups: entries.map((list, group) => device.createBindGroup({ layout: compiled[i].getBindGroupLayout(group), entries: list })), workgroups: step.workgroups };
    });
    const lists = [chain(A, X), chain(X, Y), chain(Y, X)];
    const read = async (buffer, size) => {
      const staging = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
      const encoder = device.createCommandEncoder();
      encoder.copyBufferToBuffer(buffer, 0, staging, 0, size);
      device.queue.submit([encoder.finish()]);
      await staging.mapAsync(GPUMapMode.READ);
      const data = new Float32Array(staging.getMappedRange().slice(0));
      staging.destroy();
      return data;
    };
    const run = async (count) => {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      let last = X;
      for (let r = 0; r < count; r++) {
        for (const { pipeline, groups, workgroups } of lists[r === 0 ? 0 : r % 2 ? 1 : 2]) {
          pass.setPipeline(pipeline);
          groups.forEach((group, index) => pass.setBindGroup(index, group));
          pass.dispatchWorkgroups(...workgroups);
        }
        last = r % 2 ? Y : X;
      }
      pass.end();
      device.queue.submit([encoder.finish()]);
      return last;
    };
    return { first: async () => read(await run(1), n * n * 4), chain: async (count) => (await read(await run(count), 4))[0], close: () => device.destroy() };
  },
  async "jax-js"(n, a, b) {
    const devices = await init();
    if (!devices.includes("webgpu")) throw new Error(`no webgpu among ${devices}`);
    defaultDevice("webgpu");
    const A = np.array(a).reshape([n, n]);
    const B = np.array(b).reshape([n, n]);
    await blockUntilReady([A, B]);
    const run = (count) => { let x = A.ref; for (let r = 0; r < count; r++) x = np.matmul(x, B.ref); return x; };
    return {
      first: async () => run(1).data(),
      // ready first: a sum that is fused with the last product is another, slower kernel
      chain: async (count) => { const x = run(count); await blockUntilReady(x); return (await np.sum(x).data())[0]; },
      close: () => { A.dispose(); B.dispose(); },
    };
  },
  async tfjs(n, a, b) {
    await tf.setBackend("webgpu");
    await tf.ready();
    const A = tf.tensor2d(a, [n, n]);
    const B = tf.tensor2d(b, [n, n]);
    const run = (count) => tf.tidy(() => { let x = A; for (let r = 0; r < count; r++) { const y = tf.matMul(x, B); if (x !== A) x.dispose(); x = y; } return x; });
    return {
      first: async () => { const x = run(1); const data = await x.data(); x.dispose(); return data; },
      chain: async (count) => { const x = run(count); const one = tf.slice(x, [0, 0], [1, 1]); const data = await one.data(); x.dispose(); one.dispose(); return data[0]; },
      close: () => { A.dispose(); B.dispose(); },
    };
  },
  async onnxruntime(n, a, b) {
    const ort = await import(/* @vite-ignore */ new URL("ort/ort.webgpu.bundle.min.mjs", location.href).href);
    ort.env.wasm.wasmPaths = new URL("ort/", location.href).href;
    ort.env.wasm.numThreads = 1;
    const session = await ort.InferenceSession.create(onnxModel(n), { executionProviders: ["webgpu"], preferredOutputLocation: "gpu-buffer" });
    const A = new ort.Tensor("float32", a, [n, n]);
    // B once on the GPU: the product with a unit matrix is B itself
    const unit = new Float32Array(n * n);
    for (let i = 0; i < n; i++) unit[i * n + i] = 1;
    const B = (await session.run({ A: new ort.Tensor("float32", unit, [n, n]), B: new ort.Tensor("float32", b, [n, n]) })).C;
    const A0 = (await session.run({ A, B: new ort.Tensor("float32", unit, [n, n]) })).C;
    const run = async (count) => { let x = A0; for (let r = 0; r < count; r++) { const y = (await session.run({ A: x, B })).C; if (x !== A0) x.dispose(); x = y; } return x; };
    const small = async (x) => {
      const device = await ort.env.webgpu.device;
      const staging = device.createBuffer({ size: 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
      const encoder = device.createCommandEncoder();
      encoder.copyBufferToBuffer(x.gpuBuffer, 0, staging, 0, 4);
      device.queue.submit([encoder.finish()]);
      await staging.mapAsync(GPUMapMode.READ);
      const value = new Float32Array(staging.getMappedRange())[0];
      staging.destroy();
      x.dispose();
      return value;
    };
    return { first: async () => (await run(1)).getData(true), chain: async (count) => small(await run(count)), close: async () => { A0.dispose(); B.dispose(); await session.release(); } };
  },
};

// Relative error of a first product at 300 random places, against float64.
async function error_of(library, n, a, b) {
  const got = await library.first();
  let errors = 0;
  let norm = 0;
  for (let s = 0; s < 300; s++) {
    const i = Math.floor(Math.random() * n);
    const j = Math.floor(Math.random() * n);
    let sum = 0;
    for (let k = 0; k < n; k++) sum += a[i * n + k] * b[k * n + j];
    errors += (got[i * n + j] - sum) ** 2;
    norm += sum * sum;
  }
  return Math.sqrt(errors / norm);
}

async function main() {
  const query = new URLSearchParams(location.search);
  const sizes = (query.get("sizes") ?? "256,512").split(",").map(Number);
  const who = query.get("who")?.split(",") ?? Object.keys(libraries);
  const target = Number(query.get("round_ms") ?? 300);
  const passes = Number(query.get("passes") ?? 1);
  const jobs = await (await fetch("peers.json")).json();
  const adapter = await navigator.gpu.requestAdapter();
  await post("/log", `adapter ${adapter.info.vendor} ${adapter.info.architecture} ${adapter.info.description} fallback=${adapter.info.isFallbackAdapter}`);
  const rows = [];
  for (let pass = 0; pass < passes; pass++) for (const n of sizes) {
    const a = random(n, 1);
    const b = random(n, Math.sqrt(3 / n));
    for (const name of who) {
      const row = { name, n };
      try {
        const library = await libraries[name](n, a, b, jobs);
        row.error = await error_of(library, n, a, b);
        await library.chain(2);
        let start = performance.now();
        await library.chain(3);
        const estimate = (performance.now() - start) / 3;
        const count = Math.max(3, Math.min(400, Math.ceil(target / estimate)));
        const times = [];
        const cpu = async () => (query.has("cpu") ? Number(await (await fetch("/cpu")).text()) : 0);
        const before = await cpu();
        for (let round = 0; round < 4; round++) {
          start = performance.now();
          const value = await library.chain(count);
          if (!Number.isFinite(value)) throw new Error(`the chain ended in ${value}`);
          if (round) times.push((performance.now() - start) / count);
        }
        row.cpu_gflops = query.has("cpu") ? (2 * n ** 3 * count * 4) / (await cpu() - before) / 1e9 : 0;
        row.ms = median(times);
        row.gflops = (2 * n ** 3) / row.ms / 1e6;
        row.products = count;
        row.error = Math.max(row.error, await error_of(library, n, a, b));
        row.right = row.error < 1e-5;
        await library.close();
      } catch (error) {
        row.failed = String(error?.message ?? error).slice(0, 400);
      }
      rows.push(row);
      await post("/log", row.failed ? `FAILED ${name} ${n}: ${row.failed}` : !row.right ? `${String(n).padStart(5)} ${name.padEnd(12)} WRONG: error ${row.error.toExponential(1)}` : `${String(n).padStart(5)} ${name.padEnd(12)} ${row.gflops.toFixed(2).padStart(10)} GFLOP/s ${row.cpu_gflops ? `${row.cpu_gflops.toFixed(2)} GFLOP/cpu-s ` : ""}${row.ms.toFixed(3).padStart(9)} ms  error ${row.error.toExponential(1)}  ${row.products} chained`);
    }
  }
  await post("/done", rows);
}
main().catch((error) => post("/done", { failed: String(error?.stack ?? error) }));
