/** The browser's private file system and a load on a GPU, as far as the loader of weights knows them. */
import type { Gpu } from "../src/gpu.js";
import type { ItemSpec, LoadProgress } from "../src/protocol.gen.js";
import type { FileSpec } from "../src/weights/files.js";
import type { IO } from "../src/weights/io.js";
import { Job } from "../src/weights/job.js";

const CHUNK_BYTES = 64;
let jobs = 0;

/** A disk on which a step (a method's name, and what it is asked for) may never settle, or settle late. */
export class FakeDisk {
  readonly steps: string[] = [];
  open = 0;
  /** Steps that do not settle until `release`. */
  hangs: (step: string, name: string) => boolean = () => false;
  private readonly waiting: (() => void)[] = [];
  private readonly root = this.folder("", new Map());

  readonly storage = {
    getDirectory: () => this.step("getDirectory", "", () => this.root),
    estimate: () => this.step("estimate", "", () => ({ quota: 1e9, usage: 0 })),
    persisted: () => this.step("persisted", "", () => false),
  };

  release(): void {
    for (const settle of this.waiting.splice(0)) settle();
  }

  private step<T>(method: string, name: string, work: () => T): Promise<T> {
    this.steps.push(method);
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        try {
          resolve(work());
        } catch (error) {
          reject(error);
        }
      };
      if (this.hangs(method, name)) this.waiting.push(settle);
      else settle();
    });
  }

  private folder(own: string, entries: Map<string, unknown>): Record<string, unknown> {
    const find = (name: string, create: boolean | undefined, make: () => unknown): unknown => {
      if (!entries.has(name) && !create) throw new DOMException(name, "NotFoundError");
      if (!entries.has(name)) entries.set(name, make());
      return entries.get(name);
    };
    const next = (steps: Iterator<[string, unknown]>) => this.step("entries", own, () => steps.next());
    return {
      kind: "directory",
      getDirectoryHandle: (name: string, options?: { create: boolean }) =>
        this.step("getDirectoryHandle", name, () => find(name, options?.create, () => this.folder(name, new Map()))),
      getFileHandle: (name: string, options?: { create: boolean }) =>
        this.step("getFileHandle", name, () => find(name, options?.create, () => this.file(name))),
      removeEntry: (name: string) => this.step("removeEntry", name, () => void entries.delete(name)),
      entries: () => {
        const steps = [...entries][Symbol.iterator]();
        return { [Symbol.asyncIterator]: () => ({ next: () => next(steps) }) };
      },
    };
  }

  private file(name: string): Record<string, unknown> {
    let data = new Uint8Array(0);
    const access = () => {
      this.open++;
      return {
        getSize: () => data.byteLength,
        truncate: (size: number) => {
          data = data.slice(0, size);
        },
        write: (bytes: Uint8Array) => {
          data = Uint8Array.from(bytes);
          return bytes.byteLength;
        },
        read: (target: Uint8Array, { at }: { at: number }) => {
          target.set(data.subarray(at, at + target.byteLength));
          return Math.min(target.byteLength, data.byteLength - at);
        },
        close: () => {
          this.open--;
        },
      };
    };
    return {
      kind: "file",
      createSyncAccessHandle: () => this.step("createSyncAccessHandle", name, access),
      getFile: () => this.step("getFile", name, () => ({ size: data.byteLength })),
    };
  }
}

export function fileOf(bytes: Uint8Array, changes: Partial<FileSpec> = {}): FileSpec {
  const fixed = {
    key: "k",
    name: "model",
    chunk_bytes: CHUNK_BYTES,
    url: null,
    ranges: true,
    validator: "",
    cache: true,
    verify: true,
    sha256: "",
    digests: "",
  };
  return { ...fixed, size: bytes.byteLength, ...changes };
}

export function chunkOf(bytes: Uint8Array, index: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(bytes.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES));
}

/** Load items of a file whose chunks "Python" sends as they are asked for; the buffers' bytes and what was said. */
export async function load(io: IO, file: FileSpec, spans: readonly (readonly [number, number])[], send: (index: number) => Uint8Array<ArrayBuffer>) {
  const buffers = spans.map(([, size]) => new Uint8Array(Math.ceil(size / 4) * 4));
  const queue = {
    writeBuffer: (buffer: Uint8Array, at: number, source: ArrayBuffer, from: number, size: number) => buffer.set(new Uint8Array(source, from, size), at),
    onSubmittedWorkDone: async () => undefined,
  };
  const gpu = {
    dead: false,
    device: { queue },
    recorder: { serial: 1, flush: () => undefined },
    buffers: { get: (handle: number) => ({ buffer: buffers[handle], stamp: 0 }) },
  } as unknown as Gpu;
  const items = spans.map(([offset, bytes], id): ItemSpec => {
    const plain = { stage: 0, file: 0, decode: 0, encode: 0, block_elements: 1, block_bytes: 1, out_bits: 32, grouped: false, flag: null };
    return { id, offset, bytes, count: bytes, outs: [id], ...plain };
  });
  const done: number[] = [];
  const asked: number[] = [];
  const progress = (report: LoadProgress): void => {
    done.push(...report.done);
    for (const [, index] of report.want) {
      asked.push(index);
      void job.deliver(0, index, send(index), "", true).catch(() => undefined);
    }
  };
  const context = { signal: new AbortController().signal, buffers: [], progress, sendChunk: async () => true };
  const job = new Job(gpu, { job: `job ${++jobs}`, files: [file], items, piece_elements: 1 << 20, stall_s: 600 }, context, Promise.resolve(io));
  const ended = job.run().then((report) => {
    done.push(...report.done);
    return report;
  });
  return { job, ended, buffers, done, asked };
}
