/** An `IO` in workers: one that fetches and keeps chunks, and others that hash for it and read from the cache beside it. */
import { asLoadError, LoadError } from "./errors.js";
import type { FileSpec } from "./files.js";
import { hasherCount } from "./hashing.js";
import type { ChunkIO, IO } from "./io.js";

export interface Call {
  readonly id: number;
  readonly method: keyof IO;
  readonly args: readonly unknown[];
}

export interface Reply {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: { readonly code: LoadError["code"]; readonly message: string };
}

/** What a worker is told first when it is a hasher, or gets one. */
export interface Introduction {
  readonly role: "hasher" | "loader";
  readonly port: MessagePort;
}

/** Run one call; the reply's buffer, if it has one, is to be transferred. */
export async function serve(io: ChunkIO, call: Call): Promise<[Reply, Transferable[]]> {
  try {
    const method = io[call.method] as (...args: readonly unknown[]) => Promise<unknown>;
    const value = await method.apply(io, [...call.args]);
    const bytes = (value as { bytes?: unknown } | null | undefined)?.bytes;
    return [{ id: call.id, value }, bytes instanceof Uint8Array ? [bytes.buffer as ArrayBuffer] : []];
  } catch (error) {
    const { code, message } = asLoadError(error);
    return [{ id: call.id, error: { code, message } }, []];
  }
}

/** A worker and the calls that it has not answered. */
class Remote {
  private readonly waiting = new Map<number, { resolve(value: unknown): void; reject(error: LoadError): void }>();
  private ids = 0;
  /** It has answered. */
  alive = false;

  constructor(readonly worker: Worker) {
    worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      this.alive = true;
      const waiting = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.error) waiting?.reject(new LoadError(data.error.code, data.error.message));
      else waiting?.resolve(data.value);
    };
    worker.onerror = (event) => {
      for (const waiting of this.waiting.values()) waiting.reject(new LoadError("internal", `the loader's worker failed: ${event.message}`));
      this.waiting.clear();
    };
  }

  get pending(): number {
    return this.waiting.size;
  }

  call(method: keyof IO, args: readonly unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = ++this.ids;
      this.waiting.set(id, { resolve, reject });
      const call: Call = { id, method, args };
      this.worker.postMessage(
        call,
        args.flatMap((arg) => (arg instanceof ArrayBuffer ? [arg] : arg instanceof Uint8Array ? [arg.buffer as ArrayBuffer] : [])),
      );
    });
  }
}

/** Whether a call needs nothing that the loader alone knows. */
function isForAny(method: keyof IO, args: readonly unknown[]): boolean {
  return method === "read" || (method === "put" && !(args[0] as FileSpec).cache && !(args[0] as FileSpec).sha256);
}

/** Start the workers; undefined where the page may not have any. */
export async function startWorkers(source: string): Promise<IO | undefined> {
  try {
    // Never revoked: Chromium 156 reads it some time after the constructor, and a worker whose text is gone says nothing.
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    const loader = new Remote(new Worker(url, { name: "webgpu_widget weights" }));
    const alive = await Promise.race([loader.call("quota", []).then(() => true), new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 5000))]);
    if (alive) return proxy(loader, startHashers(loader, url));
    loader.worker.terminate();
  } catch {
    // A content policy without worker-src blob:, or no workers at all.
  }
  return undefined;
}

function proxy(loader: Remote, hashers: readonly Remote[]): IO {
  const call = (method: keyof IO, args: readonly unknown[]): Promise<unknown> => {
    let chosen = loader;
    if (isForAny(method, args)) for (const one of hashers) if (one.alive && one.pending <= chosen.pending) chosen = one;
    return chosen.call(method, args);
  };
  return new Proxy(
    {},
    {
      get: (_target, method) => (typeof method === "string" && method !== "then" ? (...args: unknown[]) => call(method as keyof IO, args) : undefined),
    },
  ) as IO;
}

function startHashers(loader: Remote, url: string): Remote[] {
  const hashers: Remote[] = [];
  for (let n = hasherCount(navigator.hardwareConcurrency); n > 0; n--) {
    const { port1, port2 } = new MessageChannel();
    const hasher = new Remote(new Worker(url, { name: "webgpu_widget hashes" }));
    hasher.worker.postMessage({ role: "hasher", port: port1 } satisfies Introduction, [port1]);
    loader.worker.postMessage({ role: "loader", port: port2 } satisfies Introduction, [port2]);
    void hasher.call("quota", []).catch(() => undefined);
    hashers.push(hasher);
  }
  return hashers;
}
