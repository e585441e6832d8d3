// The page of bench/weights_ceiling.py: workers that bring chunks, and three ways to give them to the GPU.
(source) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const start = () => {
    const worker = new Worker(url);
    const waiting = new Map();
    let ids = 0;
    worker.onmessage = ({ data: { id, value, error } }) => {
      const [resolve, reject] = waiting.get(id);
      waiting.delete(id);
      if (error) reject(new Error(error));
      else resolve(value);
    };
    return (method, args) =>
      new Promise((resolve, reject) => {
        waiting.set(++ids, [resolve, reject]);
        worker.postMessage({ id: ids, method, args }, args.buffer ? [args.buffer] : []);
      });
  };
  globalThis.workers = [start(), start()];
  globalThis.timed = async (run) => {
    const began = performance.now();
    await run();
    return (performance.now() - began) / 1000;
  };

  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
  const ways = {
    async writeBuffer(target, bytes) {
      device.queue.writeBuffer(target, 0, bytes, 0, bytes.byteLength);
      await device.queue.onSubmittedWorkDone();
      return target;
    },
    /** A pool of mapped buffers, copied on the GPU. */
    async staging(target, bytes, pool) {
      const made = { size: bytes.byteLength, usage: GPUBufferUsage.MAP_WRITE | GPUBufferUsage.COPY_SRC, mappedAtCreation: true };
      const stage = pool.pop() ?? device.createBuffer(made);
      new Uint8Array(stage.getMappedRange()).set(new Uint8Array(bytes));
      stage.unmap();
      const encoder = device.createCommandEncoder();
      encoder.copyBufferToBuffer(stage, 0, target, 0, bytes.byteLength);
      device.queue.submit([encoder.finish()]);
      await stage.mapAsync(GPUMapMode.WRITE);
      pool.push(stage);
      return target;
    },
    async mappedAtCreation(target, bytes) {
      target.destroy();
      const made = device.createBuffer({ size: bytes.byteLength, usage, mappedAtCreation: true });
      new Uint8Array(made.getMappedRange()).set(new Uint8Array(bytes));
      made.unmap();
      return made;
    },
  };

  /** Seconds for `count` chunks, by `threads` workers (0: the same bytes again and again) with `depth` in flight each. */
  globalThis.upload = async ({ count, chunk, hash, threads, depth = 2, way, one }) => {
    globalThis.device ??= await (await navigator.gpu.requestAdapter()).requestDevice();
    const targets = Array.from({ length: count }, () => device.createBuffer({ size: chunk, usage }));
    const free = [];
    const pool = [];
    let next = 0;
    const reader = async (worker) => {
      while (next < count) {
        const n = next++;
        const buffer = free.pop();
        const bytes = worker ? await worker("chunk", { n, chunk, hash, one, buffer }) : (buffer ?? new ArrayBuffer(chunk));
        targets[n] = await ways[way](targets[n], bytes, pool);
        free.push(bytes);
      }
    };
    await device.queue.onSubmittedWorkDone();
    const seconds = await timed(async () => {
      await Promise.all(Array.from({ length: depth * Math.max(1, threads) }, (_, n) => reader(threads && workers[n % threads])));
      await device.queue.onSubmittedWorkDone();
    });
    for (const one of [...targets, ...pool]) one.destroy();
    await device.queue.onSubmittedWorkDone();
    return seconds;
  };
};
