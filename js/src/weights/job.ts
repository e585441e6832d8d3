/** One load: chunks by network, cache or Python, into buffers, with pause, cancel and a tensor that jumps the queue. */
import { EngineError } from "../errors.js";
import type { Gpu } from "../gpu.js";
import type { ItemSpec, LoadProgress, LoadSpec } from "../protocol.gen.js";
import type { ServiceContext } from "../services.js";
import type { Bytes } from "../session.js";
import { headersFor, isLocal } from "./addresses.js";
import { Assembly } from "./assembly.js";
import { auditOf, claim } from "./auditing.js";
import { asLoadError, LoadError } from "./errors.js";
import { Gate } from "./fetching.js";
import { chunkCount, chunkSize, type FileSpec } from "./files.js";
import type { CachedChunk, IO, SpanChunk } from "./io.js";
import { BufferPool } from "./pool.js";
import { Drain, Ring } from "./ring.js";
import { type Ref, Schedule } from "./schedule.js";
import { announce, isInFlight, join, NO_SHARE, type Share } from "./sharing.js";

const RING_BYTES = 56 * 2 ** 20;
const DRAIN_BYTES = 8 * 2 ** 20;
/**
 * Most bytes of one request; a longer run takes several, so that a cut or a jump costs little. What a body's stream leaves behind (Chromium 156) is
 * collected when the stream has ended: requests of 64 MiB had the page's memory rise by 120 MiB, 32 MiB by 93. Each costs a pause: 16 MiB a third of the rate.
 */
const SPAN_BYTES = 32 * 2 ** 20;
/** Chunks of a span that are on their way from the worker at once. */
const DEPTH = 4;
/** Requests at once: another machine's answers are worth waiting for in parallel, this one's are not. */
const REMOTE_REQUESTS = 3;
const CACHE_READERS = 4;
const PYTHON_REQUESTS = 8;
const MAX_POOLED = 16;
const BAD_TRIES = 3;
const REPORT_MS = 100;
const HEARTBEAT_MS = 400;
/** How long what was under way may take to stop. */
const LEAVE_MS = 5000;

const ring = new Ring(RING_BYTES);
let spans = 0;
/** Digests of the chunks that the cache is known to hold, by file key. */
const kept = new Map<string, Map<number, string>>();

/** Buffers that held a chunk and will hold the next: as many as can be in flight. */
const pool = new BufferPool(MAX_POOLED);

function copyOf(bytes: Bytes): Bytes {
  const copy = new Uint8Array(pool.take(bytes.byteLength));
  copy.set(bytes);
  return copy;
}

/** No load is under way. */
export function dropPool(): void {
  pool.drop();
}

/** The cache was cleared. */
export function forgetKept(): void {
  kept.clear();
}

export class Job {
  readonly gate = new Gate();
  private readonly abort = new AbortController();
  /** Rejects when the load is cancelled. */
  private readonly cancelled: Promise<never>;
  private readonly schedule: Schedule;
  private readonly assembly: Assembly;
  private readonly activeSpans = new Map<number, { readonly file: FileSpec; next: Ref }>();
  private readonly drain = new Drain(ring, DRAIN_BYTES);
  private readonly tries = new Map<string, number>();
  private readonly awaited = new Map<string, (chunk: Promise<SpanChunk>) => void>();
  private readonly reading = new Set<Promise<void>>();
  private readonly shares = new Set<Share>();
  private changed: () => void = () => undefined;
  private done: number[] = [];
  /** Items that are in their buffers, of files that are not checked yet. */
  private readonly unchecked = new Map<number, number[]>();
  /** The file that is being brought whole, while it is. */
  private readonly audits = new Map<number, FileSpec>();
  private audited = 0;
  private unclaim: () => void = () => undefined;
  private want: [number, number][] = [];
  private hash: [number, number, number][] = [];
  /** Chunks whose hashes Python has been asked for. */
  private readonly asked = new Set<string>();
  private warnings: string[] = [];
  private bytesMoved = 0;
  private bytesCached = 0;
  private reportTimer = 0;
  private failed: unknown;
  private mark = -1;
  private quietBeats = 0;
  private io!: IO; // set first thing in run()

  constructor(
    private readonly gpu: Gpu,
    private readonly spec: LoadSpec,
    private readonly context: ServiceContext<"weights.load">,
    private readonly opening: Promise<IO>,
  ) {
    this.schedule = new Schedule(spec.files, spec.items);
    const fileOf = new Map(spec.items.map((item) => [item.id, item.file]));
    this.assembly = new Assembly(gpu, spec, (item) => {
      (this.unchecked.get(fileOf.get(item) ?? -1) ?? this.done).push(item);
      this.reportSoon(0);
    });
    this.cancelled = new Promise((_, reject) => {
      this.abort.signal.addEventListener("abort", () => reject(new LoadError("cancelled", "the load was cancelled")), { once: true });
    });
    this.cancelled.catch(() => undefined);
    context.signal.addEventListener("abort", () => this.cancel());
    ring.restart();
  }

  // ---------------------------------------------------------------- from outside

  cancel(): void {
    this.abort.abort();
    // At once, so that what Python asks next about the memory is true.
    this.assembly.dispose();
    this.gate.open();
    for (const span of this.activeSpans.keys()) void this.io.stopSpan(span);
    // What waits for this load's hashes, and other loads that wait for its chunks, wait no longer.
    for (const { digests } of this.spec.files) if (digests) void this.io?.forget(digests);
    for (const share of this.shares) share.fail(new LoadError("cancelled", "the load was cancelled"));
    this.unclaim();
    this.changed();
  }

  pause(paused: boolean): void {
    if (paused) this.gate.close();
    else this.gate.open();
    for (const span of this.activeSpans.keys()) void this.io.pauseSpan(span, paused);
    // Other loads need not wait for a paused one.
    if (paused) {
      for (const share of this.shares) share.fail(new LoadError("cancelled", "paused"));
      this.unclaim();
    }
    this.changed();
    this.report();
  }

  prioritise(ids: readonly number[]): void {
    this.schedule.prioritise(ids);
    for (const [span, { file, next }] of this.activeSpans) if (file.ranges && !file.audit && !this.schedule.isUrgent(next)) void this.io.endSpan(span);
    this.changed();
  }

  /** Items whose buffers are about to be freed. */
  drop(ids: readonly number[]): void {
    this.assembly.drop(ids);
    this.schedule.keepOnly(this.assembly.remaining);
    this.changed();
  }

  /** A chunk that Python sent, in a buffer that nobody else reads if it is `ours`. Resolves when it is checked. */
  async deliver(file: number, index: number, bytes: Bytes, digest: string, ours: boolean): Promise<void> {
    const spec = this.audits.get(file) ?? this.spec.files[file];
    const key = `${file}:${index}`;
    const resolve = this.awaited.get(key);
    if (!spec || !resolve) return;
    this.awaited.delete(key);
    const taken = ours ? bytes : copyOf(bytes);
    const looked = spec.cache || (spec.verify && (digest !== "" || spec.sha256 !== ""));
    const chunk: Promise<SpanChunk> = looked
      ? this.io.put(spec, index, taken, digest)
      : Promise.resolve({ index, bytes: taken, moved: taken.byteLength, kept: "", warning: "" });
    resolve(chunk);
    await chunk;
  }

  async run(): Promise<LoadProgress> {
    const heartbeat = setInterval(() => this.beat(), HEARTBEAT_MS);
    try {
      this.io = await this.opening;
      for (const item of this.spec.items) await this.warmUp(item);
      for (const file of this.spec.files.keys()) await this.openFile(file);
      for (const ref of this.schedule.idle) this.askHash(ref.file, ref.index);
      this.assembly.finishEmpty();
      await this.work();
      await this.drain.end(this.gpu.device.queue);
      this.check();
      return this.progress();
    } catch (error) {
      const known = error instanceof EngineError ? error : asEngine(error);
      throw this.abort.signal.aborted ? new EngineError("cancelled", "the load was cancelled") : known;
    } finally {
      clearInterval(heartbeat);
      clearTimeout(this.reportTimer);
      this.cancel();
      await Promise.race([Promise.allSettled(this.reading), new Promise((resolve) => setTimeout(resolve, LEAVE_MS))]);
      await this.drain.end(this.gpu.device.queue);
    }
  }

  private async openFile(number: number): Promise<void> {
    const file = this.file({ file: number, index: 0 });
    const mustBeChecked = file.sha256 !== "" && this.schedule.wants(number);
    for (;;) {
      for (let other = auditOf(file.key); mustBeChecked && other; other = auditOf(file.key)) await Promise.race([other, this.cancelled]);
      const { have, warning, checked } = await this.io.open(file);
      this.check();
      if (mustBeChecked && !checked && auditOf(file.key)) continue;
      if (file.cache) kept.set(file.key, new Map(have));
      this.schedule.cached(number, new Map(have).keys());
      this.warn(warning);
      if (mustBeChecked && !checked) await this.audit(number, new Map(have));
      return;
    }
  }

  /** Bring a file from its beginning to its end, and hand out its items when it has the SHA-256 that its server gives. */
  private async audit(number: number, have: Map<number, string>): Promise<void> {
    const file: FileSpec = { ...this.file({ file: number, index: 0 }), audit: `${this.spec.job}/${number}` };
    const held: number[] = [];
    if (!this.gate.closed) this.unclaim = claim(file.key);
    this.unchecked.set(number, held);
    this.audits.set(number, file);
    try {
      await this.io.beginWhole(file);
      const count = chunkCount(file);
      if (!file.ranges) have.clear();
      const most = file.ranges ? Math.max(1, Math.floor(SPAN_BYTES / file.chunk_bytes)) : count;
      for (this.audited = 0; this.audited < count; ) {
        if (this.failed !== undefined) throw this.failed;
        await this.gate.pass();
        this.check();
        const first: Ref = { file: number, index: this.audited };
        const digest = have.get(first.index);
        if (digest !== undefined) {
          await this.auditCached(first, digest, have);
          continue;
        }
        const run = [first];
        while (run.length < most && first.index + run.length < count && !have.has(first.index + run.length))
          run.push({ file: number, index: first.index + run.length });
        for (const ref of file.url === null ? [first] : run) this.schedule.claim(ref);
        await (file.url === null ? this.fromPython(first) : this.fromSpan(run, first.index));
      }
      const { found, warning } = await this.io.endWhole(file);
      this.warn(warning);
      if (found) {
        kept.delete(file.key);
        this.report();
        throw new LoadError(
          "integrity",
          `${file.name}: has the SHA-${file.sha256.length === 128 ? 512 : 256} ${found}, but its server says ${file.sha256}: it is damaged there or on the way, and nothing of it was kept; load it again (verify=False takes it as it comes)`,
        );
      }
      this.unchecked.delete(number);
      this.done.push(...held);
      this.reportSoon(0);
    } finally {
      this.audits.delete(number);
      this.unclaim();
    }
  }

  /** A chunk from the cache, for the hash of the whole; taken off `have` where it is not there any more. */
  private async auditCached(ref: Ref, digest: string, have: Map<number, string>): Promise<void> {
    const file = this.file(ref);
    const size = chunkSize(file, ref.index);
    await ring.take(size);
    const { bytes, ...found } = await this.io.readWhole(file, ref.index, digest, pool.find(size)).catch((error: unknown) => {
      ring.give(size);
      throw error;
    });
    if (!bytes) {
      ring.give(size);
      await this.io.lost(file, ref.index);
      have.delete(ref.index);
      if (!("warning" in found) || !found.warning) return;
      have.clear();
      this.leaveCache(ref.file, found.warning);
      return;
    }
    this.bytesCached += size;
    this.schedule.claim(ref);
    await this.arrived(ref, bytes);
    pool.give(bytes);
    this.audited++;
  }

  /** Compile before bytes come. */
  private async warmUp(item: ItemSpec): Promise<void> {
    for (const pipeline of [item.decode, item.encode]) if (pipeline) await this.gpu.pipelines.get(pipeline);
  }

  private check(): void {
    if (this.abort.signal.aborted || this.gpu.dead) throw new LoadError("cancelled", "the load was cancelled");
  }

  // ---------------------------------------------------------------- readers of chunks

  private async work(): Promise<void> {
    const readers: { readonly busy: Set<Promise<void>>; readonly most: number; start(): Promise<void> | undefined }[] = [
      { busy: new Set(), most: CACHE_READERS, start: () => this.startCached() },
      { busy: new Set(), most: this.networkReaders(), start: () => this.startNetwork() },
    ];
    while (!this.schedule.finished) {
      this.check();
      if (this.failed !== undefined) throw this.failed;
      if (this.gate.closed) {
        await this.gate.pass();
        continue;
      }
      const changed = new Promise<void>((resolve) => {
        this.changed = resolve;
      });
      for (const [file, { key, cache }] of this.spec.files.entries()) if (cache) this.schedule.cached(file, kept.get(key)?.keys() ?? []);
      for (const reader of readers) {
        while (reader.busy.size < reader.most) {
          const started = reader.start();
          if (!started) break;
          const running: Promise<void> = started
            .catch((error: unknown) => {
              this.failed ??= error;
            })
            .finally(() => {
              reader.busy.delete(running);
              this.reading.delete(running);
              this.changed();
            });
          reader.busy.add(running);
          this.reading.add(running);
        }
      }
      if (this.reading.size === 0) throw new LoadError("internal", "chunks are missing and nothing fetches them");
      await changed;
    }
    if (this.failed !== undefined) throw this.failed;
  }

  private networkReaders(): number {
    if (this.spec.files.some((file) => file.url === null)) return PYTHON_REQUESTS;
    return this.spec.files.some((file) => !isLocal(file.url ?? "") && file.ranges) ? REMOTE_REQUESTS : 1;
  }

  private startCached(): Promise<void> | undefined {
    const ref = this.schedule.take("cached");
    return ref && this.fromCache(ref);
  }

  private async fromCache(ref: Ref): Promise<void> {
    const file = this.file(ref);
    const size = chunkSize(file, ref.index);
    await ring.take(size);
    let found: CachedChunk;
    try {
      this.check();
      found = await this.io.read(file, ref.index, kept.get(file.key)?.get(ref.index) ?? "", pool.find(size));
      this.check();
    } catch (error) {
      ring.give(size);
      throw error;
    }
    const { bytes } = found;
    if (!bytes) {
      ring.give(size);
      kept.get(file.key)?.delete(ref.index);
      if (found.warning) this.leaveCache(ref.file, found.warning);
      await this.io.lost(file, ref.index);
      this.schedule.giveBack(ref);
      return;
    }
    this.bytesCached += size;
    await this.arrived(ref, bytes);
    pool.give(bytes);
  }

  /** Fetch the rest of a file: its cache does not answer. */
  private leaveCache(number: number, warning: string): void {
    this.warn(warning);
    kept.delete((this.spec.files[number] as FileSpec).key);
    this.schedule.uncached(number);
  }

  private startNetwork(): Promise<void> | undefined {
    const ref = this.schedule.take("idle");
    if (!ref) return undefined;
    const file = this.file(ref);
    const other = join(this.globalKey(ref));
    if (other) return this.fromOther(ref, other);
    if (file.url === null) return this.fromPython(ref);
    if (!file.ranges) return this.fromSpan(this.schedule.takeWhole(ref), 0);
    const most = Math.max(1, Math.floor(SPAN_BYTES / file.chunk_bytes));
    return this.fromSpan(
      this.schedule.extend(ref, most, (next) => isInFlight(this.globalKey(next))),
      ref.index,
    );
  }

  /** Have Python hash a chunk that is going to be fetched; it does so in the order in which it is asked. */
  private askHash(file: number, index: number): void {
    if (!this.spec.files[file]?.digests || this.asked.has(`${file}:${index}`)) return;
    this.asked.add(`${file}:${index}`);
    const run = this.hash.at(-1);
    if (run && run[0] === file && run[1] + run[2] === index) run[2]++;
    else this.hash.push([file, index, 1]);
    this.reportSoon(0);
  }

  /** Share what another load of this page is fetching. */
  private async fromOther(ref: Ref, other: Promise<Bytes>): Promise<void> {
    const size = chunkSize(this.file(ref), ref.index);
    let bytes: Bytes;
    try {
      bytes = await Promise.race([other, this.cancelled]);
    } catch {
      this.schedule.giveBack(ref); // the other one was cancelled or failed: fetch it here
      return;
    }
    await ring.take(size);
    this.bytesCached += size;
    await this.arrived(ref, bytes);
  }

  private async fromPython(ref: Ref): Promise<void> {
    const file = this.file(ref);
    const size = chunkSize(file, ref.index);
    const share = file.audit ? NO_SHARE : this.announce(ref); // others may not read what is not checked
    let chunk: SpanChunk;
    await ring.take(size);
    try {
      const sent = new Promise<SpanChunk>((resolve) => {
        this.awaited.set(`${ref.file}:${ref.index}`, resolve);
        this.want.push([ref.file, ref.index]);
        this.reportSoon(0);
      });
      chunk = await Promise.race([sent, this.cancelled]);
    } catch (error) {
      share.fail(error);
      ring.give(size);
      throw error;
    }
    await this.take(ref, chunk, share);
  }

  /** A run of chunks by one request, which begins at chunk `begin`: at the run's first, or at 0 where the server sends whole files only. */
  private async fromSpan(run: readonly Ref[], begin: number): Promise<void> {
    const first = run[0] as Ref;
    const last = (run.at(-1) as Ref).index;
    const file = this.file(first);
    const span = ++spans;
    const shares = file.audit ? new Map<number, Share>() : new Map(run.map((ref) => [ref.index, this.announce(ref)]));
    const pending: { readonly size: number; readonly chunk: Promise<SpanChunk | null> }[] = [];
    let asked = begin;
    const active = { file, next: first };
    this.activeSpans.set(span, active);
    try {
      this.check();
      for (let index = begin; index <= last; index++) this.askHash(first.file, index);
      await this.io.startSpan(span, file, begin, last, headersFor(file.url ?? ""));
      if (this.gate.closed) await this.io.pauseSpan(span, true);
      for (;;) {
        while (pending.length < DEPTH && asked <= last && !(this.mustYield(file) && asked > begin)) {
          const size = chunkSize(file, asked++);
          await ring.take(size);
          const chunk = this.io.next(span, pool.find(size));
          chunk.catch(() => undefined);
          pending.push({ size, chunk });
        }
        const next = pending[0];
        if (!next) break;
        active.next = { file: first.file, index: asked - pending.length };
        const chunk = await next.chunk;
        this.check();
        pending.shift();
        if (!chunk) {
          ring.give(next.size);
          break;
        }
        await this.take({ file: first.file, index: chunk.index }, chunk, shares.get(chunk.index) ?? NO_SHARE);
        await this.gate.pass();
      }
    } finally {
      this.activeSpans.delete(span);
      for (const { size, chunk } of pending) void chunk.catch(() => undefined).finally(() => ring.give(size));
      this.bytesMoved += await this.io.stopSpan(span).catch(() => 0);
      for (const ref of run) {
        shares.get(ref.index)?.fail(new LoadError("cancelled", "not fetched"));
        this.schedule.giveBack(ref);
      }
    }
  }

  /** Whether a run should end early: a tensor is wanted at once. */
  private mustYield(file: FileSpec): boolean {
    return file.ranges && !file.audit && this.schedule.hasUrgent;
  }

  private announce(ref: Ref): Share {
    const share = announce(this.globalKey(ref), (ended) => this.shares.delete(ended));
    this.shares.add(share);
    return share;
  }

  /** Use a fetched chunk, or have it fetched again when its hash is wrong. */
  private async take(ref: Ref, chunk: SpanChunk, share: Share): Promise<void> {
    const file = this.file(ref);
    this.bytesMoved += chunk.moved;
    this.warn(chunk.warning);
    if (chunk.kept) kept.set(file.key, (kept.get(file.key) ?? new Map()).set(ref.index, chunk.kept));
    const { bytes } = chunk;
    if (bytes) {
      if (file.audit) this.audited = ref.index + 1;
      share.succeed(bytes);
      await this.arrived(ref, bytes);
      if (!share.shared) pool.give(bytes);
      return;
    }
    share.fail(new LoadError("integrity", "a bad chunk"));
    ring.give(chunkSize(file, ref.index));
    const key = `${ref.file}:${ref.index}`;
    const tries = (this.tries.get(key) ?? 0) + 1;
    this.tries.set(key, tries);
    if (tries >= BAD_TRIES) {
      throw new LoadError(
        "integrity",
        `${file.name}: bytes ${ref.index * file.chunk_bytes} to ${ref.index * file.chunk_bytes + chunkSize(file, ref.index)} came ${tries} times with the wrong SHA-256: the file was changed while it was loading, or is damaged on the way; load it again`,
      );
    }
    this.schedule.giveBack(ref);
  }

  // ---------------------------------------------------------------- into the buffers

  /** Take a chunk over, and its share of the ring. */
  private async arrived(ref: Ref, bytes: Bytes): Promise<void> {
    try {
      await this.gate.pass();
      this.check();
      if (this.schedule.state(ref) !== "busy") return;
      this.assembly.place(ref.file, ref.index * this.file(ref).chunk_bytes, bytes);
      this.schedule.done(ref);
      this.changed();
    } finally {
      this.drain.handedOver(this.gpu.device.queue, chunkSize(this.file(ref), ref.index));
    }
  }

  // ---------------------------------------------------------------- reports

  private warn(warning: string): void {
    if (!warning || this.warnings.includes(warning)) return;
    this.warnings.push(warning);
    this.reportSoon(0);
  }

  private reportSoon(ms = REPORT_MS): void {
    if (this.reportTimer === 0) this.reportTimer = setTimeout(() => this.report(), ms) as unknown as number;
  }

  private progress(): LoadProgress {
    const { done, want, hash } = this;
    this.done = [];
    this.want = [];
    this.hash = [];
    return {
      job: this.spec.job,
      done,
      want,
      hash,
      bytes_done: this.assembly.bytesDone,
      bytes_moved: this.bytesMoved,
      bytes_from_cache: this.bytesCached,
      peak_buffer_bytes: ring.peak,
      stage: this.assembly.stage,
      paused: this.gate.closed,
      warnings: this.warnings,
    };
  }

  /** Report, and give up when nothing has moved for too long. Beats are counted, not seconds: a sleeping laptop has none. */
  private beat(): void {
    const mark = this.assembly.bytesDone + this.bytesMoved + this.bytesCached;
    this.quietBeats = mark === this.mark && !this.gate.closed ? this.quietBeats + 1 : 0;
    this.mark = mark;
    if (this.quietBeats * HEARTBEAT_MS > this.spec.stall_s * 1000) {
      this.failed ??= new LoadError(
        "weights",
        `nothing has come for ${this.spec.stall_s} s (${this.reading.size} requests open, ${this.awaited.size} chunks awaited from Python, ${this.assembly.remaining.length} tensors missing); what has arrived is kept where the cache is on: load again to go on`,
      );
      this.changed();
    }
    this.report();
  }

  private report(): void {
    clearTimeout(this.reportTimer);
    this.reportTimer = 0;
    this.context.progress(this.progress());
  }

  private file(ref: Ref): FileSpec {
    return this.audits.get(ref.file) ?? (this.spec.files[ref.file] as FileSpec);
  }

  private globalKey(ref: Ref): string {
    return `${this.file(ref).key}:${ref.index}`;
  }
}

function asEngine(error: unknown): EngineError {
  const known = asLoadError(error);
  return new EngineError(known.code, known.message);
}
