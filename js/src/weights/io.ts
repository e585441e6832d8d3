/** Chunks from the network and the cache, hashed and kept; runs in a worker, or in the page where there is none. */

import type { CacheEntry } from "../protocol.gen.js";
import type { Bytes } from "../session.js";
import { type Verdict, Whole } from "./auditing.js";
import { LoadError } from "./errors.js";
import { fetchChunks, Gate } from "./fetching.js";
import type { FileSpec } from "./files.js";
import { Hashers } from "./hashing.js";
import { Stalled } from "./patience.js";
import { ChunkFolder, clear, isFull, isHeld, list, quota, readChunk, verify } from "./store.js";

/** A chunk on its way to the buffers. `moved` counts bytes since the last one. */
export interface SpanChunk {
  readonly index: number;
  /** Null when its hash is not the expected one. */
  readonly bytes: Bytes | null;
  readonly moved: number;
  /** Its digest when the cache holds it now, else "". */
  readonly kept: string;
  readonly warning: string;
}

/** What `read` gives: the chunk, or why it is not there. Cached chunks that are `bad` have been dropped; after a `warning` the cache is left alone. */
export type CachedChunk = { readonly bytes: Bytes } | { readonly bytes: null; readonly bad: boolean; readonly warning: string };

/** Which chunks of a file the cache has, with their digests; what is wrong with the cache, if anything. */
export interface Opened {
  readonly have: [number, string][];
  readonly warning: string;
  /** Whether each chunk's digest is known, or nothing can be checked: there is no need to bring the file whole. */
  readonly checked: boolean;
}

/**
 * Buffers go in and out by transfer. `into` are buffers that nobody reads any more, to be filled again where their size is right:
 * new ones would pile up until they are collected.
 */
export interface IO {
  /** Open a file, and its folder in the cache. */
  open(file: FileSpec): Promise<Opened>;
  /** Begin to fetch chunks `first` to `last`. */
  startSpan(span: number, file: FileSpec, first: number, last: number, headers: Record<string, string>): Promise<void>;
  /** The next chunk of a span; null at its end. Calls may overlap. */
  next(span: number, into: ArrayBuffer | undefined): Promise<SpanChunk | null>;
  pauseSpan(span: number, paused: boolean): Promise<void>;
  /** Begin no further chunk of a span: the one that is being received is its last. */
  endSpan(span: number): Promise<void>;
  stopSpan(span: number): Promise<number>;
  /** A chunk from the cache. Needs no `open`, so any worker can do it. */
  read(file: FileSpec, index: number, digest: string, into: ArrayBuffer | undefined): Promise<CachedChunk>;
  /** A chunk that `open` or a span has told of is not in the cache any more. */
  lost(file: FileSpec, index: number): Promise<void>;
  /** Check and keep a chunk that came another way; takes the buffer over. */
  put(file: FileSpec, index: number, bytes: Bytes, digest: string): Promise<SpanChunk>;
  /** Begin to hash a file whole, under the name `audit`: its chunks must then come in order. */
  beginWhole(file: FileSpec): Promise<void>;
  /** A chunk from the cache, as `read` gives it, for the hash of the whole. */
  readWhole(file: FileSpec, index: number, digest: string, into: ArrayBuffer | undefined): Promise<CachedChunk>;
  /** All has come: keep the chunks' digests, or drop the chunks. */
  endWhole(file: FileSpec): Promise<Verdict>;
  /** Hashes that chunks of a file must have, from `first` on; `name` is the file's `digests`. */
  expect(name: string, first: number, digests: readonly string[]): Promise<void>;
  /** No more hashes come under this name: what waits for one fails. */
  forget(name: string): Promise<void>;
  list(): Promise<CacheEntry[]>;
  clear(keys: readonly string[] | null): Promise<number>;
  verify(keys: readonly string[] | null): Promise<{ checked: number; bytes: number; bad: { key: string; chunk: number }[] }>;
  quota(): Promise<{ quota_bytes: number; used_bytes: number; persisted: boolean }>;
}

/** Writes that may fail, for other reasons than a full storage, before it is left alone. */
const MAX_FAILURES = 3;

interface Span {
  readonly file: FileSpec;
  readonly chunks: AsyncGenerator<{ index: number; bytes: ArrayBuffer }>;
  readonly abort: AbortController;
  readonly gate: Gate;
  /** To be filled. */
  readonly free: ArrayBuffer[];
  moved: number;
  ending: boolean;
  /** Resolves when the chunk before has been received. */
  turn: Promise<void>;
}

function fitting(spare: ArrayBuffer | undefined, size: number): ArrayBuffer {
  return spare?.byteLength === size ? spare : new ArrayBuffer(size);
}

function trustName(file: FileSpec): string {
  return `${file.sha256}/${file.chunk_bytes}`;
}

function noStorage(error: unknown): string {
  if (error instanceof Stalled) return error.message;
  return isFull(error) ? "its storage is full; wg.cache.clear() makes room" : `it gives no storage here (${String(error).slice(0, 160)})`;
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
  /** The digests of the chunks of files that were checked whole, by their SHA-256 and size of chunk. */
  private readonly trusted = new Map<string, readonly string[]>();
  private readonly wholes = new Map<string, Whole>();
  private failures = 0;

  async open(file: FileSpec): Promise<Opened> {
    if (!file.cache) return { have: [], warning: "", checked: this.isChecked(file) };
    try {
      const folder = await ChunkFolder.open(file, this.folders.get(file.key));
      const digests = file.sha256 ? await folder.checked(file) : undefined;
      if (digests) this.trusted.set(trustName(file), digests);
      this.folders.set(file.key, folder);
      return { have: folder.chunks, warning: await this.room(file, folder), checked: this.isChecked(file) };
    } catch (error) {
      this.folders.delete(file.key);
      const why = noStorage(error);
      return { have: [], warning: `${file.name} is loaded without the browser's cache: ${why}`, checked: this.isChecked(file) };
    }
  }

  private isChecked(file: FileSpec): boolean {
    return !file.sha256 || this.trusted.has(trustName(file));
  }

  async beginWhole(file: FileSpec): Promise<void> {
    this.wholes.set(file.audit ?? "", new Whole(file));
  }

  async readWhole(file: FileSpec, index: number, digest: string, into: ArrayBuffer | undefined): Promise<CachedChunk> {
    const found = await this.read(file, index, digest, into);
    const whole = this.wholes.get(file.audit ?? "");
    if (found.bytes && whole) {
      whole.digests[index] = digest;
      whole.add(index, found.bytes);
    }
    return found;
  }

  async endWhole(file: FileSpec): Promise<Verdict> {
    const whole = this.wholes.get(file.audit ?? "") ?? new Whole(file);
    this.wholes.delete(file.audit ?? "");
    const folder = this.folders.get(file.key);
    const found = whole.end();
    let warning = "";
    if (found) await folder?.empty();
    else {
      this.trusted.set(trustName(file), whole.digests);
      // A mark that cannot be written costs the next page another look at the whole.
      await folder?.noteChecked(file, whole.digests).catch((error: unknown) => {
        if (!isHeld(error)) warning = `${file.name}: that it was checked could not be noted (${String(error).slice(0, 160)}); the next page checks it again`;
      });
    }
    return { found, warning };
  }

  private async room(file: FileSpec, folder: ChunkFolder): Promise<string> {
    const { quota_bytes, used_bytes } = await quota();
    const wanted = file.size - folder.chunks.length * file.chunk_bytes;
    if (quota_bytes === 0 || wanted <= quota_bytes - used_bytes) return "";
    return `${file.name} does not fit in the browser's storage: ${wanted} bytes are wanted, ${quota_bytes - used_bytes} of ${quota_bytes} are left; the rest is loaded uncached. wg.cache.clear() makes room`;
  }

  async startSpan(id: number, file: FileSpec, first: number, last: number, headers: Record<string, string>): Promise<void> {
    const abort = new AbortController();
    const gate = new Gate();
    const free: ArrayBuffer[] = [];
    const moved = (bytes: number): void => {
      span.moved += bytes;
    };
    const allocate = (size: number): ArrayBuffer => fitting(free.pop(), size);
    const span: Span = {
      file,
      abort,
      gate,
      free,
      moved: 0,
      ending: false,
      turn: Promise.resolve(),
      chunks: fetchChunks(file, first, last, { headers, signal: abort.signal, gate, moved, allocate }),
    };
    this.spans.set(id, span);
  }

  async next(id: number, into: ArrayBuffer | undefined): Promise<SpanChunk | null> {
    const span = this.spans.get(id);
    if (!span) return null;
    if (into) span.free.push(into);
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
    // In order, since the next one's turn comes later.
    this.wholes.get(span.file.audit ?? "")?.add(value.index, new Uint8Array(value.bytes));
    return this.accept(span.file, value.index, new Uint8Array(value.bytes), moved, undefined);
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

  read(file: FileSpec, index: number, digest: string, into: ArrayBuffer | undefined): Promise<CachedChunk> {
    return readChunk(file, index, digest, (size) => fitting(into, size));
  }

  async lost(file: FileSpec, index: number): Promise<void> {
    this.folders.get(file.key)?.forget(index);
  }

  async put(file: FileSpec, index: number, bytes: Bytes, digest: string): Promise<SpanChunk> {
    const chunk = await this.accept(file, index, bytes, bytes.byteLength, digest);
    if (chunk.bytes) this.wholes.get(file.audit ?? "")?.add(index, chunk.bytes);
    return chunk;
  }

  private async accept(file: FileSpec, index: number, given: Bytes, moved: number, wanted: string | undefined): Promise<SpanChunk> {
    const folder = this.folders.get(file.key);
    let bytes = given;
    let warning = "";
    if (folder || (file.verify && (file.digests || wanted || file.sha256))) {
      const hashed = await this.hashers.digest(bytes);
      const { digest } = hashed;
      bytes = hashed.bytes;
      const whole = this.wholes.get(file.audit ?? "");
      if (whole) whole.digests[index] = digest;
      const trusted = file.sha256 ? this.trusted.get(trustName(file))?.[index] : undefined;
      if (trusted && trusted !== digest) return { index, bytes: null, moved, kept: "", warning };
      const expected = file.verify ? wanted || (file.digests ? await this.expectedOf(file.digests).get(index) : "") : "";
      if (expected && expected !== digest) return { index, bytes: null, moved, kept: "", warning };
      if (folder && !folder.digestOf(index)) warning = await this.keep(file, folder, index, digest, bytes);
    }
    return { index, bytes, moved, kept: folder?.digestOf(index) ?? "", warning };
  }

  private async keep(file: FileSpec, folder: ChunkFolder, index: number, digest: string, bytes: Bytes): Promise<string> {
    try {
      await folder.write(index, digest, bytes);
      return "";
    } catch (error) {
      if (isHeld(error)) return ""; // another tab writes this very chunk
      if (!isFull(error) && !(error instanceof Stalled) && ++this.failures < MAX_FAILURES) return "";
      this.folders.delete(file.key);
      if (error instanceof Stalled) return `${file.name}: the rest is loaded without the browser's cache: ${error.message}`;
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
