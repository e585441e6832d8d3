/** Chunks from the network and the cache, hashed and kept; runs in a worker, or in the page where there is none. */
import { asLoadError, LoadError } from "./errors.js";
import { fetchChunks, Gate } from "./fetching.js";
import { Hashers, hasherCount } from "./hashing.js";
import { Spares } from "./spares.js";
import { ChunkFolder, clear, isFull, isHeld, list, quota, verify } from "./store.js";
import type { CacheEntry, Chunk, FileSpec } from "./types.js";

/** A chunk on its way to the buffers. `moved` counts bytes since the last one. */
export interface SpanChunk {
  readonly index: number;
  /** Null when its hash is not the expected one. */
  readonly bytes: ArrayBuffer | null;
  readonly moved: number;
  /** Whether the cache holds it now. */
  readonly kept: boolean;
  readonly warning: string;
}

export interface IO {
  /** Open a file's folder in the cache: which chunks are there, and what is wrong with the cache, if anything. */
  open(file: FileSpec): Promise<{ have: number[]; warning: string }>;
  /** Begin to fetch chunks `first` to `last`. */
  startSpan(span: number, file: FileSpec, first: number, last: number, headers: Record<string, string>): Promise<void>;
  /** The next chunk of a span; null at its end. Calls may overlap. */
  next(span: number): Promise<SpanChunk | null>;
  pauseSpan(span: number, paused: boolean): Promise<void>;
  /** Begin no further chunk of a span: the one that is being received is its last. */
  endSpan(span: number): Promise<void>;
  stopSpan(span: number): Promise<number>;
  /** A chunk from the cache. */
  read(file: FileSpec, index: number): Promise<Chunk | null>;
  /** Check and keep a chunk that came another way; takes the buffer over. */
  put(file: FileSpec, index: number, bytes: ArrayBuffer, digest: string): Promise<SpanChunk>;
  /** Hashes that chunks of a file must have, from `first` on; `name` is the file's `digests`. */
  expect(name: string, first: number, digests: readonly string[]): Promise<void>;
  /** No more hashes come under this name: what waits for one fails. */
  forget(name: string): Promise<void>;
  /** A chunk's buffer that nobody reads any more, to be filled again: new ones would pile up until they are collected. */
  recycle(buffer: ArrayBuffer): Promise<void>;
  /** No load is under way: hold no spare buffers. */
  rest(): Promise<void>;
  list(): Promise<CacheEntry[]>;
  clear(keys: readonly string[] | null): Promise<number>;
  verify(keys: readonly string[] | null): Promise<{ checked: number; bytes: number; bad: { key: string; chunk: number }[] }>;
  quota(): Promise<{ quota_bytes: number; used_bytes: number; persisted: boolean }>;
}

/** Writes that may fail, for other reasons than a full storage, before it is left alone. */
const MAX_FAILURES = 3;
/** As many as can be in flight: fewer would be dropped and made anew, and lie about until they are collected. */
const MAX_SPARES = 16;

interface Span {
  readonly file: FileSpec;
  readonly chunks: AsyncGenerator<{ index: number; bytes: ArrayBuffer }>;
  readonly abort: AbortController;
  readonly gate: Gate;
  moved: number;
  ending: boolean;
  /** Resolves when the chunk before has been received. */
  turn: Promise<void>;
}

/** Hashes by chunk, which may come after the chunk itself. */
class Expected {
  private readonly known = new Map<number, string>();
  private readonly waiting = new Map<number, { resolve(digest: string): void; reject(error: LoadError): void }[]>();

  set(index: number, digest: string): void {
    this.known.set(index, digest);
    for (const { resolve } of this.waiting.get(index) ?? []) resolve(digest);
    this.waiting.delete(index);
  }

  get(index: number): Promise<string> | string {
    const known = this.known.get(index);
    if (known !== undefined) return known;
    return new Promise((resolve, reject) => this.waiting.set(index, [...(this.waiting.get(index) ?? []), { resolve, reject }]));
  }

  /** Nothing more comes. */
  end(): void {
    for (const list of this.waiting.values()) for (const { reject } of list) reject(new LoadError("cancelled", "the load has ended"));
    this.waiting.clear();
  }
}

export class ChunkIO implements IO {
  readonly hashers = new Hashers();
  private readonly folders = new Map<string, ChunkFolder>();
  private readonly spans = new Map<number, Span>();
  private readonly expected = new Map<string, Expected>();
  private failures = 0;

  private readonly spares = new Spares(MAX_SPARES);
  private readonly allocate = (size: number): ArrayBuffer => this.spares.take(size);

  async recycle(buffer: ArrayBuffer): Promise<void> {
    this.spares.give(buffer);
  }

  async rest(): Promise<void> {
    this.spares.drop();
  }

  async open(file: FileSpec): Promise<{ have: number[]; warning: string }> {
    if (!file.cache) return { have: [], warning: "" };
    try {
      const folder = await ChunkFolder.open(file, this.folders.get(file.key));
      this.folders.set(file.key, folder);
      return { have: folder.indexes, warning: await this.room(file, folder) };
    } catch (error) {
      this.folders.delete(file.key);
      const why = isFull(error) ? "its storage is full; wg.cache.clear() makes room" : `it gives no storage here (${String(error).slice(0, 160)})`;
      return { have: [], warning: `${file.name} is loaded without the browser's cache: ${why}` };
    }
  }

  private async room(file: FileSpec, folder: ChunkFolder): Promise<string> {
    const { quota_bytes, used_bytes } = await quota();
    const wanted = file.size - folder.indexes.length * file.chunk_bytes;
    if (quota_bytes === 0 || wanted <= quota_bytes - used_bytes) return "";
    return `${file.name} does not fit in the browser's storage: ${wanted} bytes are wanted, ${quota_bytes - used_bytes} of ${quota_bytes} are left; the rest is loaded uncached. wg.cache.clear() makes room`;
  }

  async startSpan(id: number, file: FileSpec, first: number, last: number, headers: Record<string, string>): Promise<void> {
    const abort = new AbortController();
    const gate = new Gate();
    const moved = (bytes: number): void => {
      span.moved += bytes;
    };
    const span: Span = {
      file,
      abort,
      gate,
      moved: 0,
      ending: false,
      turn: Promise.resolve(),
      chunks: fetchChunks(file, first, last, { headers, signal: abort.signal, gate, moved, allocate: this.allocate }),
    };
    this.spans.set(id, span);
  }

  async next(id: number): Promise<SpanChunk | null> {
    const span = this.spans.get(id);
    if (!span) return null;
    const before = span.turn;
    let received: () => void = () => undefined;
    span.turn = new Promise((resolve) => {
      received = resolve;
    });
    await before;
    const { value } = span.ending ? { value: undefined } : await span.chunks.next().finally(received);
    received();
    if (!value || span.abort.signal.aborted) return null;
    const { moved } = span;
    span.moved = 0;
    return this.accept(span.file, value.index, value.bytes, moved, undefined);
  }

  async pauseSpan(id: number, paused: boolean): Promise<void> {
    const gate = this.spans.get(id)?.gate;
    if (paused) gate?.close();
    else gate?.open();
  }

  async endSpan(id: number): Promise<void> {
    const span = this.spans.get(id);
    if (span) span.ending = true;
  }

  async stopSpan(id: number): Promise<number> {
    const span = this.spans.get(id);
    if (!span) return 0;
    this.spans.delete(id);
    span.ending = true;
    span.abort.abort();
    span.gate.open();
    await span.chunks.return(undefined).catch(() => undefined);
    return span.moved;
  }

  async read(file: FileSpec, index: number): Promise<Chunk | null> {
    const bytes = await this.folders.get(file.key)?.read(file, index, this.allocate, this.hashers);
    return bytes ? { index, bytes, cached: true } : null;
  }

  put(file: FileSpec, index: number, bytes: ArrayBuffer, digest: string): Promise<SpanChunk> {
    return this.accept(file, index, bytes, bytes.byteLength, digest);
  }

  private async accept(file: FileSpec, index: number, given: ArrayBuffer, moved: number, wanted: string | undefined): Promise<SpanChunk> {
    const folder = this.folders.get(file.key);
    let bytes = given;
    let warning = "";
    if (folder || (file.verify && (file.digests || wanted))) {
      const hashed = await this.hashers.digest(bytes);
      const { digest } = hashed;
      bytes = hashed.bytes;
      const expected = file.verify ? wanted || (file.digests ? await this.expectedOf(file.digests).get(index) : "") : "";
      if (expected && expected !== digest) return { index, bytes: null, moved, kept: false, warning };
      if (folder && !folder.has(index)) warning = await this.keep(file, folder, index, digest, bytes);
    }
    return { index, bytes, moved, kept: folder?.has(index) ?? false, warning };
  }

  private async keep(file: FileSpec, folder: ChunkFolder, index: number, digest: string, bytes: ArrayBuffer): Promise<string> {
    try {
      await folder.write(index, digest, bytes);
      return "";
    } catch (error) {
      if (isHeld(error)) return ""; // another tab writes this very chunk
      if (!isFull(error) && ++this.failures < MAX_FAILURES) return "";
      this.folders.delete(file.key);
      return `${file.name}: the browser's storage is full or refuses (${String(error).slice(0, 160)}); the rest is loaded uncached. wg.cache.clear() makes room`;
    }
  }

  private expectedOf(name: string): Expected {
    const found = this.expected.get(name) ?? new Expected();
    this.expected.set(name, found);
    return found;
  }

  async expect(name: string, first: number, digests: readonly string[]): Promise<void> {
    const expected = this.expectedOf(name);
    digests.forEach((digest, at) => {
      expected.set(first + at, digest);
    });
  }

  async forget(name: string): Promise<void> {
    this.expected.get(name)?.end();
    this.expected.delete(name);
  }

  list(): Promise<CacheEntry[]> {
    return list();
  }

  async clear(keys: readonly string[] | null): Promise<number> {
    this.folders.clear(); // a load under way goes on uncached
    return clear(keys);
  }

  verify(keys: readonly string[] | null): Promise<{ checked: number; bytes: number; bad: { key: string; chunk: number }[] }> {
    return verify(keys, () => undefined);
  }

  quota(): Promise<{ quota_bytes: number; used_bytes: number; persisted: boolean }> {
    return quota();
  }
}

// ---------------------------------------------------------------- across the worker's border

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

/** Run one call; the reply's buffer, if it has one, is to be transferred. */
export async function serve(io: ChunkIO, call: Call): Promise<[Reply, Transferable[]]> {
  try {
    const method = io[call.method] as (...args: readonly unknown[]) => Promise<unknown>;
    const value = await method.apply(io, [...call.args]);
    const bytes = (value as { bytes?: unknown } | null | undefined)?.bytes;
    return [{ id: call.id, value }, bytes instanceof ArrayBuffer ? [bytes] : []];
  } catch (error) {
    const { code, message } = asLoadError(error);
    return [{ id: call.id, error: { code, message } }, []];
  }
}

/** What a worker is told first when it is a hasher, or gets one. */
export interface Introduction {
  readonly role: "hasher" | "loader";
  readonly port: MessagePort;
}

/** An IO whose work is done by a worker, with others that hash for it. */
export class WorkerIO {
  private readonly waiting = new Map<number, { resolve(value: unknown): void; reject(error: LoadError): void }>();
  private ids = 0;

  private constructor(private readonly worker: Worker) {
    worker.onmessage = ({ data }: MessageEvent<Reply>) => {
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

  /** Start the workers; undefined where the page may not have any. */
  static async start(source: string): Promise<IO | undefined> {
    try {
      // Never revoked: Chromium 156 reads it some time after the constructor, and a worker whose text is gone says nothing.
      const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
      const made = new WorkerIO(new Worker(url, { name: "webgpu_widget weights" }));
      const proxy = new Proxy(
        {},
        { get: (_target, method) => (typeof method === "string" && method !== "then" ? made.method(method as keyof IO) : undefined) },
      ) as IO;
      const alive = await Promise.race([proxy.quota().then(() => true), new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 5000))]);
      if (alive) {
        made.startHashers(url);
        return proxy;
      }
      made.worker.terminate();
    } catch {
      // A content policy without worker-src blob:, or no workers at all.
    }
    return undefined;
  }

  private startHashers(url: string): void {
    for (let n = hasherCount(navigator.hardwareConcurrency); n > 0; n--) {
      const { port1, port2 } = new MessageChannel();
      const hasher = new Worker(url, { name: "webgpu_widget hashes" });
      hasher.postMessage({ role: "hasher", port: port1 } satisfies Introduction, [port1]);
      this.worker.postMessage({ role: "loader", port: port2 } satisfies Introduction, [port2]);
    }
  }

  private method(method: keyof IO): (...args: unknown[]) => Promise<unknown> {
    return (...args) =>
      new Promise((resolve, reject) => {
        const id = ++this.ids;
        this.waiting.set(id, { resolve, reject });
        const call: Call = { id, method, args };
        this.worker.postMessage(
          call,
          args.filter((arg): arg is ArrayBuffer => arg instanceof ArrayBuffer),
        );
      });
  }
}
