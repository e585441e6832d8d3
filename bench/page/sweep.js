// Runs the jobs of jobs.json: each WGSL variant is timed, and checked against float64 sums on sampled elements before and after; one that is not right says
// WRONG instead of a rate. One line per job goes to /log at once.
const HASH = `
fn hash(x: u32) -> u32 {
  var h = x * 747796405u + 2891336453u;
  h = ((h >> ((h >> 28u) + 4u)) ^ h) * 277803737u;
  return (h >> 22u) ^ h;
}
fn unit(i: u32, seed: u32) -> f32 { return (f32(hash(i ^ seed) >> 8u) - 8388608.0) / 8388608.0; }
fn half(i: u32, seed: u32) -> f32 { return (f32(hash(i ^ seed) >> 21u) - 1024.0) / 1024.0; }
`;
const FILL = `${HASH}
struct P { count: u32, seed: u32, mode: u32, width: u32 }
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@group(0) @binding(1) var<uniform> p: P;
@compute @workgroup_size(256) fn main(@builtin(global_invocation_id) g: vec3u) {
  let i = g.y * p.width + g.x;
  if (i >= p.count) { return; }
  if (p.mode == 0u) { x[i] = bitcast<u32>(unit(i, p.seed)); }
  else if (p.mode == 1u) { x[i] = pack2x16float(vec2f(half(2u * i, p.seed), half(2u * i + 1u, p.seed))); }
  else { x[i] = 0x7fc12345u; }
}`;
const GATHER = `
struct P { count: u32, samples: u32, seed: u32, width: u32 }
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read> at: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@group(0) @binding(3) var<storage, read_write> poisoned: atomic<u32>;
@group(0) @binding(4) var<uniform> p: P;
@compute @workgroup_size(256) fn main(@builtin(global_invocation_id) g: vec3u) {
  let i = g.y * p.width + g.x;
  if (i < p.samples) { y[i] = x[at[i]]; }
  if (i < p.count && x[i] == 0x7fc12345u) { atomicAdd(&poisoned, 1u); }
}`;
const hash = (x) => {
  let h = (Math.imul(x, 747796405) + 2891336453) >>> 0;
  h = Math.imul((h >>> ((h >>> 28) + 4)) ^ h, 277803737) >>> 0;
  return ((h >>> 22) ^ h) >>> 0;
};
const values = [
  (i, seed) => ((hash((i ^ seed) >>> 0) >>> 8) - 8388608) / 8388608,
  (i, seed) => ((hash((i ^ seed) >>> 0) >>> 21) - 1024) / 1024,
];
const post = (path, body) => fetch(path, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

async function main() {
  const jobs = await (await fetch("jobs.json")).json();
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new Error("no adapter");
  const wanted = ["shader-f16", "subgroups", "chromium-experimental-subgroup-matrix", "timestamp-query"];
  const device = await adapter.requestDevice({
    requiredFeatures: wanted.filter((name) => adapter.features.has(name)),
    requiredLimits: Object.fromEntries(
      ["maxBufferSize", "maxStorageBufferBindingSize", "maxComputeWorkgroupStorageSize", "maxComputeInvocationsPerWorkgroup", "maxComputeWorkgroupSizeX"].map((name) => [name, adapter.limits[name]]),
    ),
  });
  await post("/log", `adapter ${adapter.info.vendor} ${adapter.info.architecture} fallback=${adapter.info.isFallbackAdapter} features=${wanted.filter((name) => adapter.features.has(name))} workgroup storage=${adapter.limits.maxComputeWorkgroupStorageSize} invocations=${adapter.limits.maxComputeInvocationsPerWorkgroup} binding=${adapter.limits.maxStorageBufferBindingSize}`);
  const seed = (Math.random() * 2 ** 32) >>> 0;
  await post("/log", `seed ${seed}`);
  device.lost.then((info) => post("/log", `device lost: ${info.message}`));
  const STORAGE = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const uniform = (data) => {
    const buffer = device.createBuffer({ size: Math.ceil(data.byteLength / 16) * 16, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
    device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  };
  const pipelines = new Map();
  const compile = async (code, constants) => {
    const key = JSON.stringify([code, constants]);
    if (!pipelines.has(key)) pipelines.set(key, await compileNew(code, constants));
    return pipelines.get(key);
  };
  const compileNew = async (code, constants) => {
    const module = device.createShaderModule({ code });
    const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute: { module, constants } }).catch(async (error) => {
      const messages = (await module.getCompilationInfo()).messages.map((m) => `${m.type} ${m.lineNum}:${m.linePos} ${m.message}`);
      throw new Error(`${error.message} ${messages.slice(0, 3).join(" | ")}`);
    });
    return pipeline;
  };
  const bind = (pipeline, group, buffers) =>
    device.createBindGroup({ layout: pipeline.getBindGroupLayout(group), entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })) });
  const stamps = device.features.has("timestamp-query");
  const querySet = stamps ? device.createQuerySet({ type: "timestamp", count: 2 }) : null;
  const resolved = device.createBuffer({ size: 16, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
  const staging = device.createBuffer({ size: 16, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
  // Runs the list and returns its milliseconds: the GPU's own where it has timestamps, else until a read-back arrives (onSubmittedWorkDone may come 10 ms late).
  const timed = async (list) => {
    const start = performance.now();
    run(list, true);
    const encoder = device.createCommandEncoder();
    if (stamps) encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, 16);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const wall = performance.now() - start;
    const [begin, end] = new BigUint64Array(staging.getMappedRange().slice(0));
    staging.unmap();
    return stamps && !fallback ? Number(end - begin) / 1e6 : wall;
  };
  const fallback = adapter.info.isFallbackAdapter;
  const run = (list, stamp = false) => {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass(stamp && stamps ? { timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 } } : {});
    for (const { pipeline, groups, workgroups } of list) {
      pass.setPipeline(pipeline);
      groups.forEach((group, index) => pass.setBindGroup(index, group));
      pass.dispatchWorkgroups(...workgroups);
    }
    pass.end();
    device.queue.submit([encoder.finish()]);
  };
  const fold = (count) => {
    const groups = Math.ceil(count / 256);
    const x = Math.min(groups, 32768);
    return { workgroups: [x, Math.ceil(groups / x), 1], width: x * 256 };
  };
  const fill = await compile(FILL);
  const gather = await compile(GATHER);
  const pools = new Map();
  const make = (name, words, mode) => {
    const key = `${name} ${words} ${mode}`;
    if (!pools.has(key)) {
      for (const [old, buffer] of pools) if (old.startsWith(`${name} `)) { buffer.destroy(); pools.delete(old); }
      pools.set(key, device.createBuffer({ size: words * 4, usage: STORAGE }));
      refill(pools.get(key), words, mode, name);
    }
    return pools.get(key);
  };
  const seeds = { a: seed, b: (seed ^ 0x5bd1e995) >>> 0, out: 0, work: 0 };
  const refill = (buffer, words, mode, name) => {
    const { workgroups, width } = fold(words);
    run([{ pipeline: fill, groups: [bind(fill, 0, [buffer, uniform(new Uint32Array([words, seeds[name], mode, width]))])], workgroups }]);
  };
  const results = [];
  for (const job of jobs) {
    const row = { name: job.name, size: job.size };
    try {
      const [m, n, k] = job.size;
      const half = job.half ? 1 : 0;
      const P = job.params;
      const a = make("a", job.words[0], half);
      const b = make("b", job.words[1], half);
      const out = make("out", m * n, 2);
      const work = job.words[2] ? make("work", job.words[2], 2) : null;
      refill(out, m * n, 2, "out");
      const t0 = performance.now();
      const steps = [];
      if (job.program) {
        const owned = job.sizes.slice(3).map((size, i) => make(`own${i}`, size / 4, 2));
        for (const step of job.program) {
          const pipeline = await compile(step.wgsl, step.constants);
          const entries = [[], []];
          for (const [group, binding, index, offset, size] of step.args)
            entries[group].push({ binding, resource: index === "uniform" ? { buffer: uniform(new Uint32Array(offset)) } : { buffer: [a, b, out, ...owned][index], offset, size } });
          steps.push({ pipeline, groups: entries.map((list, group) => device.createBindGroup({ layout: pipeline.getBindGroupLayout(group), entries: list })), workgroups: step.workgroups });
        }
      }
      for (const step of job.program ? [] : job.steps) {
        const pipeline = await compile(step.wgsl);
        const groups = [bind(pipeline, 0, step.buffers.map((name) => ({ a, b, out, work })[name])), bind(pipeline, 1, [uniform(new Uint32Array(step.params))])];
        steps.push({ pipeline, groups, workgroups: step.workgroups });
      }
      row.compile_ms = performance.now() - t0;
      row.first_ms = await timed(steps);
      const check = async () => {
        const samples = Math.min(600, m * n);
        const at = new Uint32Array(samples).map((_, s) => (s < 2 ? (s === 0 ? 0 : m * n - 1) : Math.floor(Math.random() * m * n)));
        const atBuffer = device.createBuffer({ size: samples * 4, usage: STORAGE });
        device.queue.writeBuffer(atBuffer, 0, at);
        const y = device.createBuffer({ size: samples * 4, usage: STORAGE });
        const poisoned = device.createBuffer({ size: 4, usage: STORAGE });
        const { workgroups, width } = fold(m * n);
        run([{ pipeline: gather, groups: [bind(gather, 0, [out, atBuffer, y, poisoned, uniform(new Uint32Array([m * n, samples, 0, width]))])], workgroups }]);
        const read = device.createBuffer({ size: samples * 4 + 4, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
        const encoder = device.createCommandEncoder();
        encoder.copyBufferToBuffer(y, 0, read, 0, samples * 4);
        encoder.copyBufferToBuffer(poisoned, 0, read, samples * 4, 4);
        device.queue.submit([encoder.finish()]);
        await read.mapAsync(GPUMapMode.READ);
        const bytes = read.getMappedRange().slice(0);
        const got = new Float32Array(bytes, 0, samples);
        const unwritten = new Uint32Array(bytes, samples * 4)[0];
        for (const buffer of [read, y, atBuffer, poisoned]) buffer.destroy();
        let errors = 0;
        let norm = 0;
        const value = values[half];
        for (let s = 0; s < samples; s++) {
          const i = Math.floor(at[s] / n);
          const j = at[s] % n;
          let sum = 0;
          for (let l = 0; l < k; l++) sum += value(P.a_offset + i * P.a_m + l * P.a_k, seeds.a) * value(P.b_offset + l * P.b_k + j * P.b_n, seeds.b);
          errors += (got[s] - sum) ** 2;
          norm += sum ** 2;
        }
        return { error: Math.sqrt(errors / norm), unwritten };
      };
      const before = await check();
      // time
      const warm = performance.now();
      while (performance.now() - warm < (job.warm_ms ?? 0)) await timed([...steps, ...steps, ...steps]);
      const estimate = Math.max((await timed([...steps, ...steps, ...steps])) / 3, 0.002);
      const reps = Math.max(3, Math.min(job.reps ?? 1000, Math.ceil((job.round_ms ?? 30) / estimate)));
      const list = [];
      for (let r = 0; r < reps; r++) list.push(...steps);
      const times = [];
      const cpu = async () => (job.cpu ? Number(await (await fetch("/cpu")).text()) : 0);
      const burnt = await cpu();
      for (let round = 0; round < (job.rounds ?? 3) + 1; round++) {
        times.push((await timed(list)) / reps);
      }
      if (job.cpu) row.cpu_gflops = (2 * m * n * k * reps * times.length) / (await cpu() - burnt) / 1e9;
      times.shift(); // clocks rise in the first round
      const after = await check();
      row.error = Math.max(before.error, after.error);
      row.unwritten = before.unwritten + after.unwritten;
      row.ok = (job.unchecked || row.error < (job.limit ?? 1e-5)) && row.unwritten === 0;
      row.ms = median(times);
      row.best_ms = Math.min(...times);
      row.gbytes = job.bytes ? job.bytes / row.ms / 1e6 : 0;
      row.gflops = (2 * m * n * k) / row.ms / 1e6;
    } catch (error) {
      row.failed = String(error.message).slice(0, 600);
    }
    results.push(row);
    await post("/log", row.failed ? `FAILED ${row.name} ${row.size}: ${row.failed}` : !row.ok ? `   WRONG err ${row.error.toExponential(1)} unwritten ${row.unwritten} ${row.size.join("x")}  ${row.name}` : `${(row.gflops / 1000).toFixed(3).padStart(8)} TF ${row.ms.toFixed(3).padStart(9)} ms  err ${row.error.toExponential(1)} unwritten ${row.unwritten} compile ${row.compile_ms.toFixed(0)} ms  ${row.gbytes ? `${row.gbytes.toFixed(0)} GB/s ` : ""}${row.cpu_gflops ? `${row.cpu_gflops.toFixed(2)} GF/cpu-s ` : ""}${row.size.join("x")}  ${row.name}`);
  }
  await post("/done", results);
}
main().catch((error) => post("/done", { failed: String(error.stack) }));
