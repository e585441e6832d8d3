/** The services `weights.*` and `cache.*`. */
import type { Engine } from "../engine.js";
import { EngineError } from "../errors.js";
import type { ChunkSent, DigestsSent, LoadControl, LoadFound, LoadProgress, LoadSpec, Nothing } from "../protocol.gen.js";
import { registerMessage, registerService, type ServiceContext } from "../services.js";
import { isDisowned } from "../transports/frame.js";
import { ChunkIO, type IO } from "./io.js";
import { dropPool, forgetKept, Job } from "./job.js";
import { probe } from "./probe.js";
import workerSource from "./worker.js?worker";
import { startWorkers } from "./workers.js";

const jobs = new Map<string, Job>();
let shared: Promise<IO> | undefined;
const NO_STORAGE = { quota_bytes: 0, used_bytes: 0, persisted: false };

function io(): Promise<IO> {
  shared ??= startWorkers(workerSource).then((worker) => worker ?? new ChunkIO());
  return shared;
}

function job(name: string): Job {
  const found = jobs.get(name);
  if (!found) throw new EngineError("weights", `there is no load ${name} in this page: it has ended`);
  return found;
}

async function load(engine: Engine, spec: LoadSpec, context: ServiceContext<"weights.load">): Promise<LoadProgress> {
  if (!engine.gpu) throw new EngineError("device-lost", "the device was lost before the load began");
  // Before anything is awaited: what Python sends next may be for this job.
  const made = new Job(engine.gpu, spec, context, io());
  jobs.set(spec.job, made);
  try {
    return await made.run();
  } finally {
    jobs.delete(spec.job);
    if (jobs.size === 0) dropPool();
  }
}

async function control(_engine: Engine, { job: name, action, items }: LoadControl): Promise<LoadFound> {
  const target = jobs.get(name);
  if (!target) return { found: false };
  if (action === "pause") target.pause(true);
  else if (action === "resume") target.pause(false);
  else if (action === "cancel") target.cancel();
  else if (action === "prioritise") target.prioritise(items);
  else target.drop(items);
  return { found: true };
}

async function chunk(_engine: Engine, params: ChunkSent, context: ServiceContext<"weights.chunk">): Promise<Nothing> {
  const target = job(params.job);
  const [view] = context.buffers;
  if (!view) throw new EngineError("weights", "a chunk without bytes");
  const ours = context.buffers.length === 1 && isDisowned(view.buffer);
  await target.deliver(params.file, params.index, view, params.digest, ours);
  return {};
}

async function digests(_engine: Engine, params: DigestsSent): Promise<Nothing> {
  const worker = await io();
  // Hashes for a load that has ended would be kept for ever.
  if (jobs.has(params.job)) await worker.expect(params.name, params.first, params.digests);
  return {};
}

/** Register them all. */
export function registerWeights(): void {
  registerService("weights.load", load);
  registerMessage("weights.control", control);
  registerMessage("weights.chunk", chunk);
  registerMessage("weights.digests", digests);
  registerMessage("weights.probe", probe);
  registerMessage("cache.list", async () => ({ entries: await (await io()).list() }));
  registerMessage("cache.clear", async (_engine, params) => {
    forgetKept();
    return { freed_bytes: await (await io()).clear(params.keys) };
  });
  registerMessage("cache.verify", async (_engine, params) => (await io()).verify(params.keys));
  registerMessage("cache.quota", async () => (await io()).quota().catch(() => NO_STORAGE));
}
