/** Ranges of a URL as whole chunks: checks what the server says, follows cuts, waits out busy servers. */
import { LoadError } from "./errors.js";
import type { FileSpec } from "./files.js";
import { chunkSize } from "./files.js";
import { patient } from "./patience.js";

const ATTEMPTS = 6;
const FIRST_WAIT_MS = 250;
const MAX_WAIT_MS = 20_000;
/** A server that sends nothing for so long is given up, and asked again. */
const STALL_MS = 30_000;
const RETRY = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Stops and goes: `pass` resolves while the gate is open. */
export class Gate {
  private opened: (() => void) | undefined;
  private waiting: Promise<void> | undefined;

  get closed(): boolean {
    return this.waiting !== undefined;
  }

  close(): void {
    this.waiting ??= new Promise((resolve) => {
      this.opened = resolve;
    });
  }

  open(): void {
    this.opened?.();
    this.opened = this.waiting = undefined;
  }

  async pass(): Promise<void> {
    while (this.waiting) await this.waiting;
  }
}

export interface FetchOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly gate: Gate;
  /** Called with bytes as they arrive, used or not. */
  moved(bytes: number): void;
  /** A buffer of this size, new or used before. */
  allocate(size: number): ArrayBuffer;
}

/** Chunks `first` to `last` of a file, in order. */
export async function* fetchChunks(file: FileSpec, first: number, last: number, options: FetchOptions): AsyncGenerator<{ index: number; bytes: ArrayBuffer }> {
  let next = first;
  let failures = 0;
  let reach = last - first + 1;
  while (next <= last) {
    // What a broken connection had delivered and nobody had read yet is lost with it: after a cut, ask for little, then for more again.
    const end = Math.min(last, next + reach - 1);
    const source = new Body(file, next, end, options);
    let wait: number;
    let reason: string;
    try {
      await source.open();
      while (next <= end) {
        const bytes = await source.fill(chunkSize(file, next));
        yield { index: next, bytes };
        failures = 0;
        next++;
      }
      reach *= 2;
      continue;
    } catch (error) {
      if (options.signal.aborted) throw new LoadError("cancelled", "the load was cancelled");
      if (!(error instanceof Retry)) throw error;
      reason = error.message;
      if (file.ranges) reach = 1;
      // A connection that broke after it had worked is opened again at once.
      wait = error.waitMs ?? (failures === 0 && next > first ? 0 : Math.min(FIRST_WAIT_MS * 2 ** failures, MAX_WAIT_MS) * (0.75 + Math.random() / 2));
    } finally {
      source.close();
    }
    if (++failures >= ATTEMPTS) {
      throw new LoadError(
        "weights",
        `${file.name}: chunk ${next} did not arrive in ${ATTEMPTS} attempts (last: ${reason}); what has arrived is kept where the cache is on: load again to go on`,
      );
    }
    await pause(wait, options.signal);
  }
}

class Retry extends Error {
  constructor(
    message: string,
    readonly waitMs?: number,
  ) {
    super(message);
  }
}

/** The body of one response, positioned at a chunk. */
class Body {
  private reader: ReadableStreamBYOBReader | undefined;
  private plain: ReadableStreamDefaultReader<Uint8Array> | undefined;
  private left = new Uint8Array(0);
  private readonly abort = new AbortController();

  constructor(
    private readonly file: FileSpec,
    private readonly first: number,
    private readonly last: number,
    private readonly options: FetchOptions,
  ) {}

  async open(): Promise<void> {
    const { file } = this;
    const begin = this.first * file.chunk_bytes;
    const end = Math.min((this.last + 1) * file.chunk_bytes, file.size);
    const headers: Record<string, string> = { ...this.options.headers };
    if (file.ranges) headers.Range = `bytes=${begin}-${end - 1}`;
    this.options.signal.addEventListener("abort", this.onAbort);
    let response: Response;
    try {
      response = await stalled(fetch(file.url ?? "", { headers, cache: "no-store", signal: this.abort.signal }), this.abort);
    } catch (error) {
      throw new Retry(String(error));
    }
    this.check(response, begin, end);
    if (!response.body) throw new Retry("an empty answer");
    try {
      this.reader = response.body.getReader({ mode: "byob" });
    } catch {
      this.plain = response.body.getReader(); // not a byte stream in this browser
    }
    if (response.status === 200) await this.skip(begin);
  }

  private check(response: Response, begin: number, end: number): void {
    const { file } = this;
    const { status, headers } = response;
    if (RETRY.has(status)) {
      const after = Number(headers.get("Retry-After") ?? Number.NaN);
      throw new Retry(`HTTP ${status}`, after >= 0 ? Math.min(after * 1000, MAX_WAIT_MS) : undefined);
    }
    if (status === 416) throw new LoadError("integrity", `${file.name}: the server says it is shorter than ${end} bytes: it was replaced; load it again`);
    if (status !== 200 && status !== 206) throw new LoadError("weights", `${file.name}: the server answers HTTP ${status}${advice(status)}`);
    const validator = headers.get("ETag") ?? headers.get("Last-Modified") ?? "";
    if (file.validator && validator && validator !== file.validator) {
      throw new LoadError("integrity", `${file.name} was replaced while it was loading (${file.validator} before, ${validator} now); load it again`);
    }
    if (status === 200) {
      const length = headers.get("Content-Length");
      if (length !== null && !headers.get("Content-Encoding") && Number(length) !== file.size) {
        throw new LoadError("integrity", `${file.name} has ${length} bytes now and had ${file.size}: it was replaced; load it again`);
      }
      return;
    }
    const range = headers.get("Content-Range"); // not shown by every server to another origin
    const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(range ?? "");
    if (range !== null && !match) throw new LoadError("integrity", `${file.name}: the server sends Content-Range ${range}`);
    if (!match) return;
    if (match[3] !== "*" && Number(match[3]) !== file.size) {
      throw new LoadError("integrity", `${file.name} has ${match[3]} bytes now and had ${file.size}: it was replaced; load it again`);
    }
    if (Number(match[1]) !== begin || Number(match[2]) > end - 1) {
      throw new LoadError("integrity", `${file.name}: asked for bytes ${begin} to ${end - 1}, the server sends ${match[1]} to ${match[2]}`);
    }
  }

  /** Pass over what a server that ignores Range sends before the first chunk. */
  private async skip(bytes: number): Promise<void> {
    for (let done = 0; done < bytes; ) done += (await this.fill(Math.min(1 << 20, bytes - done))).byteLength;
  }

  /** Exactly `size` bytes. */
  async fill(size: number): Promise<ArrayBuffer> {
    let bytes = this.options.allocate(size);
    let filled = 0;
    while (filled < size) {
      await this.options.gate.pass();
      let count: number;
      try {
        if (this.reader) {
          const { done, value } = await stalled(this.reader.read(new Uint8Array(bytes, filled, size - filled)), this.abort);
          if (value) bytes = value.buffer as ArrayBuffer;
          count = done ? -1 : (value?.byteLength ?? 0);
        } else count = await this.copy(new Uint8Array(bytes, filled, size - filled));
      } catch (error) {
        throw new Retry(String(error));
      }
      if (count < 0) throw new Retry(`the connection ended ${size - filled} bytes before the end of a chunk`);
      filled += count;
      this.options.moved(count);
    }
    return bytes;
  }

  private async copy(target: Uint8Array): Promise<number> {
    if (this.left.byteLength === 0 && this.plain) {
      const { done, value } = await stalled(this.plain.read(), this.abort);
      if (done) return -1;
      this.left = value as Uint8Array<ArrayBuffer>;
    }
    const size = Math.min(target.byteLength, this.left.byteLength);
    target.set(this.left.subarray(0, size));
    this.left = this.left.subarray(size);
    return size;
  }

  private readonly onAbort = (): void => this.abort.abort();

  close(): void {
    this.options.signal.removeEventListener("abort", this.onAbort);
    this.abort.abort();
  }
}

/** Give up on what does not settle within STALL_MS. */
function stalled<T>(work: Promise<T>, abort: AbortController): Promise<T> {
  const waited = patient(work, "the server", STALL_MS);
  waited.catch(() => abort.abort());
  return waited;
}

function advice(status: number): string {
  if (status === 401) return ": it needs credentials that the page does not have";
  if (status === 403) return ": access is denied";
  if (status === 404) return ": there is no such file (any more)";
  return "";
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      reject(new LoadError("cancelled", "the load was cancelled"));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", end);
      resolve();
    }, ms);
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}
