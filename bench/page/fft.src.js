// One page, one run: complex transforms by this package's dispatches (fft.json) and by jax-js, of the numbers in x.bin. Rounds of both take turns, each
// round ends when a value of its last transform is read, and the results that are timed are posted, so that Python compares them with float64.
import { blockUntilReady, defaultDevice, init, jit, numpy as np } from "@jax-js/jax";

const post = (path, body) => fetch(path, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const cpu = async () => Number(await (await fetch("/cpu")).text());

function base64(floats) {
  const bytes = new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
  const parts = [];
  for (let i = 0; i < bytes.length; i += 32768) parts.push(String.fromCharCode(...bytes.subarray(i, i + 32768)));
  return btoa(parts.join(""));
}

async function ours(job, x) {
  const adapter = await navigator.gpu.requestAdapter();
  const names = ["maxBufferSize", "maxStorageBufferBindingSize", "maxComputeWorkgroupStorageSize", "maxComputeInvocationsPerWorkgroup"];
  const device = await adapter.requestDevice({ requiredLimits: Object.fromEntries(names.map((name) => [name, adapter.limits[name]])) });
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC | GPUBufferUsage.UNIFORM;
  const filled = (data) => {
    const buffer = device.createBuffer({ size: Math.ceil(data.byteLength / 16) * 16, usage });
    device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  };
  const buffers = [filled(x), ...job.tables.map((values) => filled(new Float32Array(values)))];
  for (const size of job.sizes) buffers.push(device.createBuffer({ size, usage }));
  const steps = [];
  for (const { wgsl, bound, words, groups } of job.steps) {
    const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute: { module: device.createShaderModule({ code: wgsl }) } });
    const lists = [bound.map((index) => buffers[index]), [filled(new Uint32Array(words))]];
    const sets = lists.map((list, group) =>
      device.createBindGroup({ layout: pipeline.getBindGroupLayout(group), entries: list.map((buffer, binding) => ({ binding, resource: { buffer } })) }),
    );
    steps.push({ pipeline, sets, groups });
  }
  const result = buffers[job.steps.at(-1).bound.at(-1)];
  const read = async (size) => {
    const staging = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(result, 0, staging, 0, size);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const values = new Float32Array(staging.getMappedRange().slice(0));
    staging.destroy();
    return values;
  };
  return {
    run: async (count) => {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      for (let i = 0; i < count; i++) {
        for (const { pipeline, sets, groups } of steps) {
          pass.setPipeline(pipeline);
          sets.forEach((set, group) => pass.setBindGroup(group, set));
          pass.dispatchWorkgroups(...groups);
        }
      }
      pass.end();
      device.queue.submit([encoder.finish()]);
      await read(4);
    },
    result: async () => base64(await read(x.byteLength)),
    close: () => device.destroy(),
  };
}

async function jaxJs(job, x, compiled) {
  if (!(await init()).includes("webgpu")) throw new Error("jax-js finds no WebGPU");
  defaultDevice("webgpu");
  const part = (which) => np.array(Float32Array.from({ length: x.length / 2 }, (_, i) => x[2 * i + which])).reshape([job.batch, job.n]);
  const [real, imag] = [part(0), part(1)];
  await blockUntilReady([real, imag]);
  const transform = compiled ? jit((pair) => np.fft.fft(pair)) : np.fft.fft;
  const once = () => transform({ real: real.ref, imag: imag.ref });
  return {
    run: async (count) => {
      for (let i = 0; i < count; i++) {
        const out = once();
        // Of all but the last no value is wanted: they are computed all the same, and only waited for at the end.
        const ready = blockUntilReady([out.real, out.imag]);
        if (i === count - 1) await ready;
        out.real.dispose();
        out.imag.dispose();
      }
    },
    result: async () => {
      const out = once();
      const [re, im] = [await out.real.data(), await out.imag.data()];
      const pairs = new Float32Array(2 * re.length);
      for (let i = 0; i < re.length; i++) {
        pairs[2 * i] = re[i];
        pairs[2 * i + 1] = im[i];
      }
      return base64(pairs);
    },
    close: () => {
      real.dispose();
      imag.dispose();
    },
  };
}

async function main() {
  const target = Number(new URLSearchParams(location.search).get("round_ms") ?? 400);
  const jobs = await (await fetch("fft.json")).json();
  const x = new Float32Array(await (await fetch("x.bin")).arrayBuffer());
  const { info } = await navigator.gpu.requestAdapter();
  await post("/log", `adapter ${info.vendor} ${info.architecture} ${info.description} fallback=${info.isFallbackAdapter}`);
  const rows = [];
  for (const job of jobs) {
    const makers = { ours: () => ours(job, x), "jax-js": () => jaxJs(job, x, false), "jax-js, jit": () => jaxJs(job, x, true) };
    const libraries = {};
    const found = {};
    for (const [name, make] of Object.entries(makers)) {
      try {
        const library = await make();
        await library.run(1);
        const start = performance.now();
        await library.run(2);
        const count = Math.max(2, Math.min(200, Math.ceil((2 * target) / (performance.now() - start))));
        libraries[name] = library;
        found[name] = { name, n: job.n, count, ms: [], cpu: [] };
      } catch (error) {
        rows.push({ name, n: job.n, failed: String(error?.message ?? error).slice(0, 400) });
      }
    }
    for (let round = 0; round < 5; round++) {
      for (const [name, library] of Object.entries(libraries)) {
        const row = found[name];
        const before = await cpu();
        const start = performance.now();
        await library.run(row.count);
        row.ms.push((performance.now() - start) / row.count);
        row.cpu.push((1e3 * ((await cpu()) - before)) / row.count);
      }
    }
    for (const [name, library] of Object.entries(libraries)) {
      const row = found[name];
      rows.push({ ...row, ms: median(row.ms), cpu: median(row.cpu), result: await library.result() });
      library.close();
    }
    await post("/log", `${job.n} points: ${rows.slice(-Object.keys(makers).length).map((row) => `${row.name} ${row.failed ?? `${row.ms.toFixed(1)} ms`}`).join(", ")}`);
  }
  await post("/done", rows);
}
main().catch((error) => post("/done", { failed: String(error?.stack ?? error) }));
