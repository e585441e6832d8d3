/** The services `weights.*` and `cache.*`. */
import type { Engine } from "../engine.js";
import { EngineError } from "../errors.js";
import { registerMessage, registerService, type ServiceContext } from "../services.js";
import { isDisowned } from "../transports/frame.js";
import { ChunkIO, type IO } from "./io.js";
import { dropPool, forgetKept, Job } from "./job.js";
import { probe } from "./probe.js";
import type { LoadSpec } from "./types.js";
import workerSource from "./worker.js?worker";
import { startWorkers } from "./workers.js";

const jobs = new Map<string, Job>();
let shared: Promise<IO> | undefined;
const NO_STORAGE = { quota_bytes: 0, used_bytes: 0, persisted: false };

function io(): Promise<IO> {
  shared ??= startWorkers(workerSource).then((worker) => worker ?? new ChunkIO());
  return shared;
}

function job(params: Readonly<Record<string, unknown>>): Job {
  const found = jobs.get(String(params.job));
  if (!found) throw new EngineError("weights", `there is no load ${String(params.job)} in this page: it has ended`);
  return found;
}

async function load(engine: Engine, params: Readonly<Record<string, unknown>>, context: ServiceContext): Promise<Record<string, unknown>> {
  const spec = params as unknown as LoadSpec;
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

async function control(_engine: Engine, params: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
  const target = jobs.get(String(params.job));
  if (!target) return { found: false };
  if (params.action === "pause") target.pause(true);
  else if (params.action === "resume") target.pause(false);
  else if (params.action === "cancel") target.cancel();
  else if (params.action === "prioritise") target.prioritise(params.items as number[]);
  else if (params.action === "drop") target.drop(params.items as number[]);
  return { found: true };
}

async function chunk(_engine: Engine, params: Readonly<Record<string, unknown>>, context: ServiceContext): Promise<Record<string, unknown>> {
  const target = job(params);
  const [view] = context.buffers;
  if (!view) throw new EngineError("weights", "a chunk without bytes");
  const ours = context.buffers.length === 1 && isDisowned(view.buffer);
  await target.deliver(Number(params.file), Number(params.index), view, String(params.digest ?? ""), ours);
  return {};
}

async function digests(_engine: Engine, params: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
  const worker = await io();
  // Hashes for a load that has ended would be kept for ever.
  if (jobs.has(String(params.job))) await worker.expect(String(params.name), Number(params.first), params.digests as string[]);
  return {};
}

const keys = (params: Readonly<Record<string, unknown>>): string[] | null => (params.keys as string[] | undefined) ?? null;

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
    return { freed_bytes: await (await io()).clear(keys(params)) };
  });
  registerMessage("cache.verify", async (_engine, params) => ({ ...(await (await io()).verify(keys(params))) }));
  registerMessage("cache.quota", async () => ({ ...(await (await io()).quota().catch(() => NO_STORAGE)) }));
}
