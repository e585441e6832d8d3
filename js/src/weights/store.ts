/**
 * Chunks of weights files in the origin-private file system.
 *
 * One folder a file (its key), one file a chunk, whose name holds its digest: `<index>.<hex>`. So a listing is the index, a chunk is whole
 * or is told from its digest, tabs share it without a lock, and there is nothing to repair after a crash. `meta.json` is for people.
 */

import type { CacheEntry } from "../protocol.gen.js";
import type { Bytes } from "../session.js";
import type { FileSpec } from "./files.js";
import { chunkCount, chunkSize } from "./files.js";
import type { CachedChunk } from "./io.js";
import { Stalled, stored, storedEach } from "./patience.js";

const ROOT = "webgpu_widget-weights";
const META = "meta.json";
/** The digests of all chunks of a file that was checked whole, and the SHA-256 that it has. */
const CHECKED = "checked.json";
const BLOCK_BYTES = 256 * 1024;

interface SyncHandle {
  read(buffer: Uint8Array<ArrayBuffer>, options: { at: number }): number;
  write(buffer: Bytes, options: { at: number }): number;
  truncate(size: number): void;
  getSize(): number;
  close(): void;
}
type SyncFile = FileSystemFileHandle & { createSyncAccessHandle?(options?: { mode: "read-only" | "readwrite" }): Promise<SyncHandle> };
type Folder = FileSystemDirectoryHandle & { entries(): AsyncIterable<[string, FileSystemHandle]> };

/** SHA-256 of the SHA-256 sums of a chunk's blocks, in hex; why blocks: webgpu_widget/weights/digest.py, which makes the same. */
export function chunkDigest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return digestBlocks(bytes, () => undefined);
}

/** The same, of a chunk whose blocks `fill` brings one by one: each is hashed while the processor's caches still hold it. */
async function digestBlocks(bytes: Uint8Array<ArrayBuffer>, fill: (block: Uint8Array<ArrayBuffer>, at: number) => void): Promise<string> {
  const sums = new Uint8Array(32 * Math.max(1, Math.ceil(bytes.byteLength / BLOCK_BYTES)));
  for (let at = 0; at < sums.byteLength; at += 32) {
    const begin = (at / 32) * BLOCK_BYTES;
    const block = bytes.subarray(begin, begin + BLOCK_BYTES);
    fill(block, begin);
    sums.set(new Uint8Array(await crypto.subtle.digest("SHA-256", block)), at);
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", sums));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The chunks of one file that the cache holds. */
export class ChunkFolder {
  private constructor(
    private readonly folder: Folder,
    private readonly names: Map<number, string>,
  ) {}

  /** Open, or make, the folder of a file (or look again into one that is open). Throws when the browser gives no storage. */
  static async open(file: FileSpec, opened?: ChunkFolder): Promise<ChunkFolder> {
    const root = await rootFolder(true);
    const folder = (await stored(root.getDirectoryHandle(file.key, { create: true }))) as Folder;
    const names = opened?.names ?? new Map<number, string>();
    for await (const [name] of storedEach(folder.entries())) {
      const index = chunkIndex(name);
      if (index !== undefined && index < chunkCount(file)) names.set(index, name);
    }
    const meta = { name: file.name, size: file.size, chunk_bytes: file.chunk_bytes, validator: file.validator, used: Date.now() };
    try {
      await writeFile(folder, META, new TextEncoder().encode(JSON.stringify(meta)));
    } catch (error) {
      if (!isHeld(error)) throw error; // another load of the file, or another tab, writes the same just now
    }
    return opened ?? new ChunkFolder(folder, names);
  }

  /** Indexes and digests. */
  get chunks(): [number, string][] {
    return Array.from(this.names, ([index, name]) => [index, name.slice(name.indexOf(".") + 1)]);
  }

  /** The digest of a chunk that is there. */
  digestOf(index: number): string | undefined {
    return this.names.get(index)?.split(".")[1];
  }

  /** The digests that all chunks must have, if the file was once seen to have this SHA-256; chunks that have others are not there. */
  async checked(file: FileSpec): Promise<readonly string[] | undefined> {
    let digests: unknown;
    try {
      const found = JSON.parse(new TextDecoder().decode(await readFile(this.folder, CHECKED))) as Record<string, unknown> | null;
      if (found?.sha256 === file.sha256) ({ digests } = found);
    } catch (error) {
      if (error instanceof Stalled) throw error;
    }
    if (!Array.isArray(digests) || digests.length !== chunkCount(file)) return undefined;
    for (const [index, digest] of this.chunks) if (digests[index] !== digest) this.names.delete(index);
    return digests as string[];
  }

  /** Note what `checked` gives. */
  async noteChecked(file: FileSpec, digests: readonly string[]): Promise<void> {
    await writeFile(this.folder, CHECKED, new TextEncoder().encode(JSON.stringify({ sha256: file.sha256, digests })));
  }

  /** Drop every chunk. */
  async empty(): Promise<void> {
    const names = [...this.names.values()];
    this.names.clear();
    for (const name of names) await stored(this.folder.removeEntry(name)).catch(() => undefined);
  }

  /** It is not there any more. */
  forget(index: number): void {
    this.names.delete(index);
  }

  async write(index: number, digest: string, bytes: Bytes): Promise<void> {
    const name = chunkName(index, digest);
    try {
      await writeFile(this.folder, name, bytes);
    } catch (error) {
      // One that did not come in time may come yet, empty: it is told from a chunk by its size.
      if (!isHeld(error) && !(error instanceof Stalled)) await stored(this.folder.removeEntry(name)).catch(() => undefined);
      throw error;
    }
    const old = this.names.get(index);
    if (old !== undefined && old !== name) await stored(this.folder.removeEntry(old)).catch(() => undefined);
    this.names.set(index, name);
  }
}

/** Folders that have been read from, by file key: a lookup for each chunk would cost a message to the browser's process. */
const readFrom = new Map<string, Promise<Folder>>();

function folderOf(key: string): Promise<Folder> {
  const found = readFrom.get(key) ?? rootFolder(false).then(async (root) => (await stored(root.getDirectoryHandle(key))) as Folder);
  readFrom.set(key, found);
  return found;
}

/** A chunk by its digest. One that (with `verify`) is not what it was is dropped. */
export async function readChunk(file: FileSpec, index: number, digest: string, allocate: (size: number) => ArrayBuffer): Promise<CachedChunk> {
  const name = chunkName(index, digest);
  try {
    const folder = await folderOf(file.key);
    const read = await openForReading(folder, name);
    try {
      if (read.size === chunkSize(file, index)) {
        const bytes = new Uint8Array(allocate(read.size));
        if (!file.verify) {
          read.into(bytes, 0);
          return { bytes };
        }
        if ((await digestBlocks(bytes, (block, at) => read.into(block, at))) === digest) return { bytes };
      }
    } finally {
      read.close();
    }
    await stored(folder.removeEntry(name)).catch(() => undefined);
    return { bytes: null, bad: true, warning: "" };
  } catch (error) {
    // Cleared by another tab, or held by it just now: as good as not there.
    readFrom.delete(file.key);
    const warning = error instanceof Stalled ? `${file.name} is loaded without the browser's cache from here on: ${error.message}` : "";
    return { bytes: null, bad: false, warning };
  }
}

/** Whether another tab has the file open just now. */
export function isHeld(error: unknown): boolean {
  return error instanceof DOMException && error.name === "NoModificationAllowedError";
}

export function isFull(error: unknown): boolean {
  return error instanceof DOMException && error.name === "QuotaExceededError";
}

async function rootFolder(create: boolean): Promise<Folder> {
  const top = await stored(navigator.storage.getDirectory());
  return (await stored(top.getDirectoryHandle(ROOT, { create }))) as Folder;
}

function chunkName(index: number, digest: string): string {
  return `${String(index).padStart(6, "0")}.${digest}`;
}

function chunkIndex(name: string): number | undefined {
  const match = /^(\d{6,9})\.[0-9a-f]{64}$/.exec(name);
  return match ? Number(match[1]) : undefined;
}

interface Opened {
  readonly size: number;
  into(target: Uint8Array<ArrayBuffer>, at: number): void;
  close(): void;
}

async function openForReading(folder: Folder, name: string): Promise<Opened> {
  const handle = (await stored(folder.getFileHandle(name))) as SyncFile;
  if (!inWorker() || !handle.createSyncAccessHandle) {
    const whole = new Uint8Array(await stored((await stored(handle.getFile())).arrayBuffer()));
    return { size: whole.byteLength, into: (target, at) => target.set(whole.subarray(at, at + target.byteLength)), close: () => undefined };
  }
  // Several may read at once where the browser knows the mode; elsewhere it is ignored.
  const access = await stored(handle.createSyncAccessHandle({ mode: "read-only" }), close);
  return {
    size: access.getSize(),
    into(target, at) {
      if (access.read(target, { at }) !== target.byteLength) throw new DOMException("a short read", "NotReadableError");
    },
    close: () => access.close(),
  };
}

async function readFile(folder: Folder, name: string): Promise<ArrayBuffer> {
  const opened = await openForReading(folder, name);
  try {
    const bytes = new Uint8Array(opened.size);
    opened.into(bytes, 0);
    return bytes.buffer;
  } finally {
    opened.close();
  }
}

async function writeFile(folder: Folder, name: string, bytes: Bytes): Promise<void> {
  const handle = (await stored(folder.getFileHandle(name, { create: true }))) as SyncFile;
  if (inWorker() && handle.createSyncAccessHandle) {
    const access = await stored(handle.createSyncAccessHandle(), close);
    try {
      access.truncate(0);
      if (access.write(bytes, { at: 0 }) !== bytes.byteLength) throw new DOMException("a short write", "QuotaExceededError");
    } finally {
      access.close();
    }
    return;
  }
  const stream = await stored(handle.createWritable(), (late) => void late.abort().catch(() => undefined));
  try {
    await stored(stream.write(bytes));
    await stored(stream.close());
  } catch (error) {
    await stored(stream.abort()).catch(() => undefined);
    throw error;
  }
}

function close(late: SyncHandle): void {
  late.close();
}

// Sync access handles exist in dedicated workers only.
function inWorker(): boolean {
  return typeof document === "undefined";
}

// ---------------------------------------------------------------- the cache as a whole

async function* folders(): AsyncGenerator<[string, Folder]> {
  let root: Folder;
  try {
    root = await rootFolder(false);
  } catch (error) {
    if (error instanceof Stalled) throw error;
    return;
  }
  for await (const [key, handle] of storedEach(root.entries())) if (handle.kind === "directory") yield [key, handle as Folder];
}

/** What is cached. */
export async function list(): Promise<CacheEntry[]> {
  const found: CacheEntry[] = [];
  for await (const [key, folder] of folders()) {
    const meta = await readMeta(folder);
    let chunks = 0;
    let bytes = 0;
    for await (const [name, handle] of storedEach(folder.entries())) {
      if (chunkIndex(name) === undefined) continue;
      chunks++;
      bytes += (await stored((handle as FileSystemFileHandle).getFile())).size;
    }
    found.push({ key, name: meta.name, size: meta.size, bytes, chunks, complete: meta.size > 0 && bytes === meta.size, used: meta.used });
  }
  return found.sort((a, b) => b.used - a.used);
}

async function readMeta(folder: Folder): Promise<{ name: string; size: number; used: number }> {
  try {
    const text = new TextDecoder().decode(await readFile(folder, META));
    const { name, size, used } = JSON.parse(text) as Record<string, unknown>;
    return { name: String(name), size: Number(size) || 0, used: Number(used) || 0 };
  } catch {
    return { name: "unknown", size: 0, used: 0 };
  }
}

/** Whether a folder belongs to one of some files; it is called after the file and its chunk size. */
function belongs(folder: string, keys: readonly string[] | null): boolean {
  return keys === null || keys.some((key) => folder === key || folder.startsWith(`${key}-`));
}

/** Drop all, or the files with these keys. Returns the bytes given back. */
export async function clear(keys: readonly string[] | null): Promise<number> {
  let root: Folder;
  try {
    root = await rootFolder(false);
  } catch (error) {
    if (error instanceof Stalled) throw error;
    return 0;
  }
  let freed = 0;
  for (const entry of await list()) {
    if (!belongs(entry.key, keys)) continue;
    await stored(root.removeEntry(entry.key, { recursive: true }));
    freed += entry.bytes;
  }
  return freed;
}

/** Compare every chunk with its hash and drop the bad ones. */
export async function verify(
  keys: readonly string[] | null,
  report: (bytes: number) => void,
): Promise<{ checked: number; bytes: number; bad: { key: string; chunk: number }[] }> {
  const result = { checked: 0, bytes: 0, bad: [] as { key: string; chunk: number }[] };
  for await (const [key, folder] of folders()) {
    if (!belongs(key, keys)) continue;
    for await (const [name] of storedEach(folder.entries())) {
      const chunk = chunkIndex(name);
      if (chunk === undefined) continue;
      const bytes = await readFile(folder, name);
      result.checked++;
      result.bytes += bytes.byteLength;
      if (!name.endsWith(await chunkDigest(new Uint8Array(bytes)))) {
        result.bad.push({ key, chunk });
        await stored(folder.removeEntry(name));
      }
      report(result.bytes);
    }
  }
  return result;
}

/** Bytes that this origin may store, and stores. */
export async function quota(): Promise<{ quota_bytes: number; used_bytes: number; persisted: boolean }> {
  if (!navigator.storage?.estimate) return { quota_bytes: 0, used_bytes: 0, persisted: false };
  const { quota: most = 0, usage = 0 } = await stored(navigator.storage.estimate());
  return { quota_bytes: most, used_bytes: usage, persisted: await stored(navigator.storage.persisted()) };
}
