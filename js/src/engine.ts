/** Runs Python's batches in order on the GPU of this page. */

import { copyBuffer } from "./copy.js";
import { DEPTH_FORMAT, writeDepth } from "./depth.js";
import { type Opened, openDevice } from "./device.js";
import { dataOf } from "./dispatch.js";
import { asEngineError, EngineError } from "./errors.js";
import { Gpu } from "./gpu.js";
import { type Claim, Ledger } from "./ledger.js";
import { makeMips, readTexture } from "./mips.js";
import { Profiler } from "./profiler.js";
import { type Program, prepare, replay } from "./programs.js";
import { type Batch, type Command, type ErrorCode, PROGRESS_INTERVAL_MS } from "./protocol.gen.js";
import { scoped } from "./scopes.js";
import { isAsked, type ServiceContext, serve, serviceNames, takesErrors } from "./services.js";
import type { Bytes } from "./session.js";
import type { ReadPart } from "./staging.js";

/** Where replies go: the session. */
export interface Replies {
  readonly requests: ReadonlySet<string>;
  isCancelled(id: string): boolean;
  dealtWith(seq: number): void;
  result(id: string, value: object): void;
  error(id: string, code: ErrorCode, message: string, details: Readonly<Record<string, unknown>>): void;
  chunk(id: string, item: number, offset: number, total: number, bytes: Bytes, release?: () => void): Promise<boolean>;
  progress(id: string, done: number, value: object): void;
  lost(epoch: number, reason: string): void;
}

interface Job {
  readonly batch: Batch;
  readonly buffers: readonly Bytes[];
}

const REOPEN_ATTEMPTS = 6;
const REOPEN_DELAY_MS = 250;
/** A device's end is said so long after the first that it aborts. */
const LOSS_MS = 1000;

type Request = Extract<Command, { id: string }>;
type Of<Op extends Command["op"]> = Extract<Command, { op: Op }>;

export class Engine {
  epoch = 1;
  gpu: Gpu | undefined;
  /** The last error that nothing has succeeded since. */
  lastError: EngineError | undefined;
  /** When it began to work, by `performance.now()`; undefined while it has nothing to do. */
  busySince: number | undefined;
  /** Why there is no device, once it has been asked for in vain. */
  noGpu: EngineError | undefined;
  private opening: Promise<Gpu> | undefined;
  private jobs: Job[] = [];
  private running = false;
  private ledger = new Ledger((error) => this.heard(error));
  private readonly aborts = new Map<string, AbortController>();
  private done = 0;
  private reported = 0;
  private steps = 0;
  private interrupts = 0;
  private watching = false;
  /** Batches that have been begun: with the recorder's serial it says whether anything may have changed. */
  batches = 0;

  /**
   * @param replies the session
   * @param changed called when something to show has changed
   * @param beyondRepair replaces this page, when a lost device cannot be followed by another one in it; what waits is answered by its end
   */
  constructor(
    private readonly replies: Replies,
    private readonly changed: () => void = () => undefined,
    private readonly beyondRepair?: (reason: string) => void,
  ) {}

  private heard(error: EngineError): void {
    this.lastError = error;
    this.changed();
  }

  /** The kernel that the GPU is at work on, or those that it may be; empty when it has nothing to do. */
  get workingOn(): string {
    return this.gpu?.recorder.oldest ?? "";
  }

  get queued(): number {
    return this.jobs.length;
  }

  get busy(): boolean {
    return this.running || this.replies.requests.size > 0;
  }

  // ---------------------------------------------------------------- inputs

  enqueue(batch: Batch, buffers: readonly Bytes[]): void {
    this.jobs.push({ batch, buffers });
    if (!this.running) void this.drain();
  }

  /** Give up requests; a replay that nobody waits for any more stops where it is. */
  cancel(ids: readonly string[]): void {
    if (this.replies.requests.size === 0) this.interrupts++;
    for (const id of ids) this.aborts.get(id)?.abort(new DOMException("cancelled by Python", "AbortError"));
  }

  /** Give up the device and whatever runs on it. */
  reset(reason: string): void {
    this.lose(this.gpu, reason);
  }

  /** Free everything; handles start anew. */
  clear(): void {
    this.abortAll("the session is over");
    this.jobs = [];
    this.epoch = 1;
    this.done = 0;
    this.ledger = new Ledger((error) => this.heard(error));
    const { gpu } = this;
    this.gpu = this.opening = undefined;
    gpu?.release();
    this.changed();
  }

  private abortAll(reason: string): void {
    for (const abort of this.aborts.values()) abort.abort(new DOMException(reason, "AbortError"));
    this.aborts.clear();
  }

  // ---------------------------------------------------------------- device

  /** The device, asked for at first need. */
  async device(): Promise<Gpu> {
    if (this.gpu) return this.gpu;
    const opening = this.opening ?? this.open();
    this.opening = opening;
    try {
      return await opening;
    } finally {
      if (this.opening === opening) this.opening = undefined;
    }
  }

  private async open(): Promise<Gpu> {
    const { epoch, ledger } = this;
    try {
      const opened = await this.openPatiently(epoch);
      if (epoch !== this.epoch || ledger !== this.ledger) {
        opened.device.destroy();
        throw new EngineError("device-lost", "the device was given up while it was being opened");
      }
      const gpu = new Gpu(opened, epoch, ledger, () => this.steps++);
      gpu.device.addEventListener("uncapturederror", ({ error }) => {
        if (gpu.dead) return;
        ledger.keep(new EngineError(error instanceof GPUOutOfMemoryError ? "out-of-memory" : "validation", `WebGPU: ${error.message}`));
      });
      void gpu.device.lost.then((info) => this.lose(gpu, info.message || info.reason));
      this.gpu = gpu;
      this.noGpu = undefined;
      this.changed();
      return gpu;
    } catch (error) {
      const known = asEngineError(error);
      if (known.code === "no-adapter") {
        this.noGpu = known;
        if (epoch > 1 && this.beyondRepair) {
          this.beyondRepair(known.message);
          await new Promise(() => undefined);
        }
      }
      this.heard(known);
      throw known;
    }
  }

  /** After a loss the browser's GPU process may only be coming up again. */
  private async openPatiently(epoch: number): Promise<Opened> {
    for (let attempt = epoch > 1 ? REOPEN_ATTEMPTS : 1; ; attempt--) {
      try {
        return await openDevice();
      } catch (error) {
        if (attempt <= 1 || epoch !== this.epoch) throw error;
      }
      await new Promise((resolve) => {
        setTimeout(resolve, REOPEN_DELAY_MS);
      });
    }
  }

  private lose(gpu: Gpu | undefined, cause: string): void {
    if (gpu && (gpu.dead || gpu !== this.gpu)) return;
    const oldest = this.workingOn;
    const reason = oldest ? `${cause.replace(/\.$/, "")}, while it was at work on ${oldest}, the oldest kernel that had not finished` : cause;
    this.gpu = this.opening = undefined;
    this.epoch++;
    this.ledger = new Ledger((error) => this.heard(error));
    this.replies.lost(this.epoch, reason);
    const lost = new EngineError("device-lost", `the GPU device was lost: ${reason}. All arrays and kernels on it are gone; the next call gets a new device.`, {
      reason,
    });
    for (const id of [...this.replies.requests]) this.fail(id, lost);
    this.abortAll("the device was lost");
    gpu?.release();
    this.heard(lost);
  }

  // ---------------------------------------------------------------- the queue

  private async drain(): Promise<void> {
    this.running = true;
    this.changed();
    this.watchProgress();
    try {
      for (let job = this.jobs.shift(); job; job = this.jobs.shift()) {
        await this.run(job);
        this.replies.dealtWith(job.batch.seq);
        if (this.jobs.length === 0) this.gpu?.recorder.flush();
        this.finish(job.batch.seq);
      }
    } finally {
      this.running = false;
      this.changed();
    }
  }

  private async run(job: Job): Promise<void> {
    const { batch, buffers } = job;
    this.batches++;
    for (const command of batch.commands) {
      // Before Python knows the device's epoch, it is in the first one.
      if (Math.max(batch.epoch, 1) < this.epoch) {
        if ("id" in command) this.fail(command.id, new EngineError("device-lost", "the device that this command was meant for is gone"));
        continue;
      }
      try {
        const waiting = this.execute(command, buffers);
        if (waiting) await waiting;
      } catch (error) {
        if ("id" in command) this.fail(command.id, await this.problem(error, command.id));
        else if (Math.max(batch.epoch, 1) >= this.epoch) this.ledger.keep(asEngineError(error));
      }
    }
  }

  private succeeded(id: string, value: object): void {
    this.replies.result(id, value);
    if (!this.lastError) return;
    this.lastError = undefined;
    this.changed();
  }

  private fail(id: string, error: EngineError): void {
    if (!this.replies.requests.has(id)) return;
    this.lastError = error;
    this.replies.error(id, error.code, error.message, error.details);
    this.changed();
  }

  private execute(command: Command, data: readonly Bytes[]): Promise<unknown> | undefined {
    const { gpu } = this;
    if (!gpu) {
      const epoch = this.epoch;
      return this.device().then(() => {
        if (epoch === this.epoch) return this.execute(command, data);
        throw new EngineError("device-lost", "the device was lost");
      });
    }
    const { recorder, buffers, textures } = gpu;
    switch (command.op) {
      case "dispatch":
        return this.dispatch(gpu, command, data);
      case "create-buffer":
        buffers.create(command.buffer, command.size_bytes, command.label);
        return undefined;
      case "write-buffer": {
        const record = buffers.get(command.buffer);
        const bytes = dataOf(command.data, data);
        buffers.range(record, command.offset, bytes.byteLength, "write");
        if (bytes.byteLength === 0) return undefined;
        if (record.stamp === recorder.serial) recorder.flush();
        gpu.device.queue.writeBuffer(record.buffer, command.offset, bytes);
        return undefined;
      }
      case "clear-buffer": {
        const record = buffers.get(command.buffer);
        buffers.range(record, command.offset, command.size_bytes, "clear");
        recorder.commands().clearBuffer(record.buffer, command.offset, command.size_bytes);
        recorder.touch(record);
        return undefined;
      }
      case "copy-buffer":
        copyBuffer(gpu, command);
        return undefined;
      case "free-buffer": {
        const record = buffers.remove(command.buffer);
        if (!record) return undefined;
        if (record.stamp === recorder.serial) recorder.defer(() => record.buffer.destroy());
        else record.buffer.destroy();
        return undefined;
      }
      case "create-texture":
        this.watched(gpu, `a texture of ${command.size.join(" x ")} texels of ${command.format}`, () => textures.create(command));
        return undefined;
      case "write-texture":
        recorder.flush();
        if (textures.get(command.texture).description.format === DEPTH_FORMAT) return writeDepth(gpu, command, dataOf(command.data, data));
        this.watched(gpu, "writing a texture", () => textures.write(command, dataOf(command.data, data)));
        if (command.mip_level === 0 && textures.get(command.texture).description.mip_levels > 1) return makeMips(gpu, command.texture);
        return undefined;
      case "free-texture": {
        const record = textures.remove(command.texture);
        if (record) recorder.defer(() => record.texture.destroy());
        return undefined;
      }
      case "create-program":
        return prepare(gpu, command.commands, data).then((program) => {
          gpu.programs.set(command.program, program);
        });
      case "run-program":
        return this.runProgram(gpu, command);
      case "free-program": {
        const program = gpu.programs.get(command.program);
        gpu.programs.delete(command.program);
        if (program) {
          recorder.defer(() => {
            for (const buffer of program.own) buffer.destroy();
          });
        }
        return undefined;
      }
      case "free-pipeline":
        gpu.pipelines.free(command.pipeline);
        return undefined;
      case "profile-start":
        recorder.flush();
        recorder.profiler = new Profiler(gpu.device);
        return undefined;
      default:
        return this.request(gpu, command, data);
    }
  }

  /** Do what WebGPU may refuse later; the request that follows has the error then. */
  private watched(gpu: Gpu, what: string, make: () => unknown): void {
    const { error } = scoped(gpu.device, ["validation", "out-of-memory"], make);
    this.ledger.watch(error, (found) => new EngineError(found instanceof GPUOutOfMemoryError ? "out-of-memory" : "validation", `${what}: ${found.message}`));
  }

  private dispatch(gpu: Gpu, command: Of<"dispatch">, data: readonly Bytes[]): Promise<unknown> | undefined {
    const found = gpu.pipelines.get(command.pipeline);
    const { recorder } = gpu;
    if (found instanceof Promise) {
      return found.then(() => {
        if (gpu.dead) throw new EngineError("device-lost", "the device was lost");
        return this.dispatch(gpu, command, data);
      });
    }
    if (!recorder.dispatch(found, gpu.pipelines.label(command.pipeline), command.workgroups, command.args, data, command.indirect)) return undefined;
    recorder.flush();
    return recorder.pace();
  }

  private async runProgram(gpu: Gpu, command: Of<"run-program">): Promise<void> {
    const program: Program | undefined = gpu.programs.get(command.program);
    if (!program) throw new EngineError("unknown-handle", `there is no program ${command.program} in the browser`, { handle: command.program });
    const { interrupts } = this;
    await replay(gpu, program, command.times, () => gpu.dead || interrupts !== this.interrupts);
  }

  // ---------------------------------------------------------------- requests

  private request(gpu: Gpu, command: Request, data: readonly Bytes[]): Promise<unknown> | undefined {
    if (this.replies.isCancelled(command.id)) return undefined;
    switch (command.op) {
      case "get-device":
        this.replies.result(command.id, { ...gpu.info });
        return undefined;
      case "compile":
        this.answer(
          command.id,
          undefined,
          gpu.pipelines.compile(command).then((result) => ({ ...result })),
        );
        return undefined;
      case "read":
        return this.read(gpu, command.id, this.readParts(gpu, command));
      case "read-texture":
        return readTexture(gpu, command.texture, (part) => this.read(gpu, command.id, [part]));
      case "synchronize": {
        const claim = this.claim(gpu);
        this.answer(
          command.id,
          claim,
          gpu.device.queue.onSubmittedWorkDone().then(() => ({})),
        );
        return undefined;
      }
      case "get-memory":
        this.answer(command.id, this.claim(gpu), Promise.resolve({ ...gpu.memory }));
        return undefined;
      case "profile-stop": {
        const claim = this.claim(gpu);
        const { profiler } = gpu.recorder;
        gpu.recorder.profiler = undefined;
        this.answer(command.id, claim, profiler ? profiler.stop().then((rows) => ({ rows })) : Promise.resolve({ rows: [] }));
        return undefined;
      }
      case "service":
        this.service(gpu, command, data);
        return undefined;
    }
  }

  /** Submit what came before a request, and take over its errors. */
  private claim(gpu: Gpu): Claim {
    gpu.recorder.flush();
    return this.ledger.claim();
  }

  /** Reply once `work` is done, with the error of an earlier command if there was one. */
  private answer(id: string, claim: Claim | undefined, work: Promise<object>): void {
    const reply = async (): Promise<void> => {
      try {
        const value = await work;
        const kept = await claim?.settle();
        if (kept) this.fail(id, kept);
        else this.succeeded(id, value);
      } catch (error) {
        this.fail(id, claim?.error ?? (await this.problem(error, id)));
      }
    };
    void reply();
  }

  /** The error of a request. The end of a device aborts what waits for it before it says that the device is lost, which fails the request by itself. */
  private async problem(error: unknown, id: string): Promise<EngineError> {
    const aborted = error instanceof DOMException && error.name === "AbortError";
    if (aborted && this.gpu && !this.replies.isCancelled(id)) {
      await Promise.race([this.gpu.device.lost, new Promise((resolve) => setTimeout(resolve, LOSS_MS))]);
    }
    return asEngineError(error);
  }

  private readParts(gpu: Gpu, command: Of<"read">): ReadPart[] {
    return command.reads.map((read, item) => {
      const record = gpu.buffers.get(read.buffer);
      const sizeBytes = read.size_bytes;
      gpu.buffers.range(record, read.offset, sizeBytes, "read");
      return { item, record, offset: read.offset, sizeBytes, itemOffset: 0, itemBytes: sizeBytes };
    });
  }

  /** Resolves when the copies are submitted; the reply follows on its own. */
  private async read(gpu: Gpu, id: string, parts: readonly ReadPart[]): Promise<void> {
    let claim: Claim | undefined;
    const submitted = (): void => {
      claim = this.ledger.claim();
    };
    const ready = async (): Promise<boolean> => (await claim?.settle()) === undefined;
    const { sent } = await gpu.staging.read(parts, submitted, ready, (part, bytes, release) =>
      this.replies.chunk(id, part.item, part.itemOffset, part.itemBytes, bytes, release),
    );
    this.answer(
      id,
      claim,
      sent.then(() => ({})),
    );
  }

  private service(gpu: Gpu, command: Of<"service">, buffers: readonly Bytes[]): void {
    if (!isAsked(command))
      throw new EngineError("internal", `this page has no service ${command.name}; it has: ${serviceNames().join(", ") || "none"}`, { name: command.name });
    const claim = takesErrors(command.name) ? this.claim(gpu) : undefined;
    if (claim?.error) throw claim.error;
    const abort = new AbortController();
    this.aborts.set(command.id, abort);
    const { id } = command;
    const context: ServiceContext = {
      signal: abort.signal,
      buffers,
      progress: (value) => this.replies.progress(id, this.done, value),
      sendChunk: (item, offset, total, bytes, release) => this.replies.chunk(id, item, offset, total, bytes, release),
    };
    this.answer(
      id,
      claim,
      serve(this, command, context).finally(() => this.aborts.delete(id)),
    );
  }

  // ---------------------------------------------------------------- progress

  /** A batch has been submitted; it counts as done when the GPU says so. */
  private finish(seq: number): void {
    const { gpu } = this;
    if (!gpu) return;
    void gpu.device.queue.onSubmittedWorkDone().then(() => {
      if (gpu.dead) return;
      this.done = Math.max(this.done, seq);
      this.steps++;
    });
  }

  /** While there is work, say now and then what has been finished, and nothing when nothing has. */
  private watchProgress(): void {
    if (this.watching) return;
    this.watching = true;
    this.busySince = performance.now();
    const tick = (): void => {
      if (!this.busy) {
        this.watching = false;
        this.busySince = undefined;
        return;
      }
      if (this.steps !== this.reported) {
        this.reported = this.steps;
        const [id = ""] = this.replies.requests;
        this.replies.progress(id, this.done, {});
      }
      setTimeout(tick, PROGRESS_INTERVAL_MS);
    };
    setTimeout(tick, PROGRESS_INTERVAL_MS);
  }
}
