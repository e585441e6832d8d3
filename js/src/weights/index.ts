/** The services `weights.*` and `cache.*`. */
import type { Engine } from "../engine.js";
import { EngineError } from "../errors.js";
import { registerService, type ServiceContext } from "../services.js";
import { ChunkIO, type IO, WorkerIO } from "./io.js";
import { forgetKept, headersFor, Job } from "./job.js";
import type { LoadSpec } from "./types.js";
import workerSource from "./worker.js?worker";

const jobs = new Map<string, Job>();
let shared: Promise<IO> | undefined;
const PROBE_MS = 4000;
const NO_STORAGE = { quota_bytes: 0, used_bytes: 0, persisted: false };

function io(): Promise<IO> {
  shared ??= WorkerIO.start(workerSource).then((worker) => worker ?? new ChunkIO());
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
  const bytes = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
  await target.deliver(Number(params.file), Number(params.index), bytes, String(params.digest ?? ""));
  return {};
}

async function digests(_engine: Engine, params: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
  await (await io()).expect(String(params.key), Number(params.first), params.digests as string[]);
  return {};
}

/** Try addresses of one file; answers with the first that gives its bytes. */
async function probe(_engine: Engine, params: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
  const { size, head } = params as { size: number; head: string };
  const tried: string[] = [];
  for (const url of candidates(params)) {
    try {
      const headers = { ...headersFor(url), Range: `bytes=0-${head.length / 2 - 1}` };
      const abort = new AbortController();
      const timer = setTimeout(() => abort.abort(), PROBE_MS);
      try {
        const response = await fetch(url, { headers, cache: "no-store", signal: abort.signal });
        const answer = await look(response, size, head);
        if (typeof answer !== "string") return { url, ...answer, tried };
        tried.push(`${short(url)}: ${answer}`);
      } finally {
        clearTimeout(timer);
        abort.abort();
      }
    } catch (error) {
      tried.push(`${short(url)}: ${String(error)}`);
    }
  }
  return { url: null, tried };
}

function* candidates(params: Readonly<Record<string, unknown>>): Generator<string> {
  const base = jupyterBase();
  const parts = params.path as string[];
  // Python does not know the server's root: it is one of the file's folders.
  if (base !== undefined)
    for (let at = 0; at < parts.length; at++) yield new URL(`${base}files/${parts.slice(at).map(encodeURIComponent).join("/")}`, location.href).href;
  for (const url of params.urls as string[]) yield new URL(url, location.href).href;
}

/** The base address of the Jupyter server that serves this page. */
function jupyterBase(): string | undefined {
  try {
    const text = document.getElementById("jupyter-config-data")?.textContent;
    const base = text ? (JSON.parse(text) as { baseUrl?: unknown }).baseUrl : undefined;
    return typeof base === "string" ? base : undefined;
  } catch {
    return undefined;
  }
}

async function look(response: Response, size: number, head: string): Promise<string | { ranges: boolean; validator: string }> {
  if (response.status !== 206 && response.status !== 200) return `HTTP ${response.status}`;
  const ranges = response.status === 206;
  const total = ranges ? /\/(\d+)$/.exec(response.headers.get("Content-Range") ?? "")?.[1] : response.headers.get("Content-Length");
  if (total !== null && total !== undefined && Number(total) !== size && !response.headers.get("Content-Encoding")) return `${total} bytes instead of ${size}`;
  const reader = response.body?.getReader();
  let begin = "";
  while (reader && begin.length < head.length) {
    const { done, value } = await reader.read();
    if (done) break;
    for (const byte of value.subarray(0, (head.length - begin.length) / 2)) begin += byte.toString(16).padStart(2, "0");
  }
  if (begin !== head) return "another file";
  return { ranges, validator: response.headers.get("ETag") ?? response.headers.get("Last-Modified") ?? "" };
}

function short(url: string): string {
  const { origin, pathname } = new URL(url, location.href);
  return `${origin}${pathname}`.slice(0, 160);
}

const keys = (params: Readonly<Record<string, unknown>>): string[] | null => (params.keys as string[] | undefined) ?? null;

/** Register them all. */
export function registerWeights(): void {
  registerService("weights.load", load);
  registerService("weights.control", control);
  registerService("weights.chunk", chunk);
  registerService("weights.digests", digests);
  registerService("weights.probe", probe);
  registerService("cache.list", async () => ({ entries: await (await io()).list() }));
  registerService("cache.clear", async (_engine, params) => {
    forgetKept();
    return { freed_bytes: await (await io()).clear(keys(params)) };
  });
  registerService("cache.verify", async (_engine, params) => ({ ...(await (await io()).verify(keys(params))) }));
  registerService("cache.quota", async () => ({ ...(await (await io()).quota().catch(() => NO_STORAGE)) }));
}
