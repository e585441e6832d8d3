/** Records commands into as few encoders and passes as their order allows, and submits them. */
import { bindEntries, type Resources } from "./bindings.js";
import { type BufferRecord, holdGroup } from "./buffers.js";
import { EngineError, limitError } from "./errors.js";
import type { Ledger } from "./ledger.js";
import { Pacer } from "./pacing.js";
import type { CachedGroup, Compiled, GroupPlan } from "./pipelines.js";
import type { Profiler } from "./profiler.js";
import type { BindArg, DataRef, UniformArg } from "./protocol.gen.js";
import { scoped } from "./scopes.js";
import type { Bytes } from "./session.js";
import { UniformArena } from "./uniforms.js";

const MAX_GROUPS_CACHED = 4096;

const NO_OFFSETS: readonly number[] = [];

/** The bytes that a command refers to. */
export function dataOf(ref: DataRef, buffers: readonly Bytes[]): Bytes {
  const [index = 0, offset = 0, length = 0] = ref;
  const buffer = buffers[index];
  if (!buffer || offset + length > buffer.byteLength)
    throw new EngineError("validation", `a command refers to bytes ${offset} to ${offset + length} of buffer ${index}, which the message does not have`);
  return buffer.subarray(offset, offset + length);
}

/** The bytes of an entry point's `var<immediate>`, which comes among the uniforms without a slot. */
export function immediatesOf(compiled: Compiled, label: string, args: readonly BindArg[], data: readonly Bytes[]): Bytes {
  const found = args.find((arg): arg is UniformArg => arg.group < 0 && "uniform" in arg);
  const bytes = found && dataOf(found.uniform, data);
  if (!bytes || bytes.byteLength < compiled.immediateBytes)
    throw new EngineError("binding", `${label}: its immediate data has ${compiled.immediateBytes} bytes, and ${bytes?.byteLength ?? 0} were given`);
  return bytes.slice(0, compiled.immediateBytes);
}

export interface PreparedGroup {
  readonly index: number;
  readonly group: GPUBindGroup;
  readonly offsets: readonly number[];
}

/** The bind groups of a program under way. */
export interface ProgramGroups {
  readonly groups: Map<GroupPlan, Map<string, PreparedGroup>>;
  readonly uniform: (arg: UniformArg) => GPUBufferBinding;
  readonly hold: (record: BufferRecord) => void;
}

/** A dispatch of a program: everything looked up. */
export interface PreparedDispatch {
  readonly compiled: Compiled;
  readonly label: string;
  readonly groups: readonly PreparedGroup[];
  readonly workgroups: readonly [number, number, number];
  readonly immediates: Bytes | undefined;
  readonly indirect: { readonly record: BufferRecord; readonly offset: number } | undefined;
}

export class Recorder {
  /** Number of the encoder that is being filled; a buffer's stamp says which one used it last. */
  serial = 1;
  dispatches = 0;
  profiler: Profiler | undefined;
  private encoder: GPUCommandEncoder | undefined;
  private pass: GPUComputePassEncoder | undefined;
  private currentPipeline: GPUComputePipeline | undefined;
  private readonly currentGroups: (GPUBindGroup | undefined)[] = [];
  private readonly currentOffsets: (readonly number[])[] = [];
  private count = 0;
  private readonly labels = new Set<string>();
  private afterSubmit: (() => void)[] = [];
  private readonly device: GPUDevice;
  private readonly arena: UniformArena;
  private readonly pacer: Pacer;
  private readonly maxWorkgroups: number;
  private readonly keys: string[] = [];
  private readonly offsets: number[][] = [];

  constructor(
    private readonly resources: Resources,
    private readonly ledger: Ledger,
    finished: () => void,
  ) {
    const { device } = resources;
    this.device = device;
    this.arena = new UniformArena(device);
    this.pacer = new Pacer(device.queue, finished);
    this.maxWorkgroups = device.limits.maxComputeWorkgroupsPerDimension;
  }

  /** Whether anything waits for a submit. */
  get recording(): boolean {
    return this.encoder !== undefined;
  }

  /** An encoder outside of any pass. */
  commands(): GPUCommandEncoder {
    this.endPass();
    return this.open();
  }

  /** A pass for one dispatch of the engine's own, with its buffers in group 0; the caller ends it. */
  ownPass(pipeline: GPUComputePipeline, buffers: readonly GPUBufferBinding[]): GPUComputePassEncoder {
    const encoder = this.commands();
    const entries = buffers.map((resource, binding) => ({ binding, resource }));
    const group = this.device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    return pass;
  }

  private open(): GPUCommandEncoder {
    if (!this.encoder) {
      this.device.pushErrorScope("validation");
      this.encoder = this.device.createCommandEncoder();
    }
    return this.encoder;
  }

  private endPass(): void {
    if (!this.pass) return;
    this.pass.end();
    this.pass = undefined;
    this.currentPipeline = undefined;
    this.currentGroups.length = 0;
  }

  /** Note that the encoder uses a buffer. */
  touch(record: BufferRecord): void {
    record.stamp = this.serial;
  }

  /** Run when all that is recorded now has been submitted (at once if nothing is). */
  defer(action: () => void): void {
    if (this.encoder) this.afterSubmit.push(action);
    else action();
  }

  // ---------------------------------------------------------------- dispatch

  /** Returns whether the submit is long enough (the caller flushes). */
  dispatch(
    compiled: Compiled,
    label: string,
    workgroups: readonly number[],
    args: readonly BindArg[],
    data: readonly Bytes[],
    indirect?: readonly number[],
  ): boolean {
    const [x = 1, y = 1, z = 1] = workgroups;
    if (!indirect) {
      this.checkWorkgroups(label, workgroups);
      if (x === 0 || y === 0 || z === 0) return false;
    }
    if (this.pacer.wantsOwn(compiled.cost)) this.flush();
    this.bind(compiled, label, args, data);
    const pass = this.passFor(label);
    this.setPipeline(pass, compiled, label);
    if (compiled.immediateBytes > 0) pass.setImmediates(0, immediatesOf(compiled, label, args, data));
    for (const group of compiled.groups) if (group) this.setGroup(pass, group.index);
    if (indirect) {
      const [handle = 0, offset = 0] = indirect;
      const record = this.resources.buffers.get(handle);
      record.stamp = this.serial;
      pass.dispatchWorkgroupsIndirect(record.buffer, offset);
    } else pass.dispatchWorkgroups(x, y, z);
    this.dispatches++;
    this.count++;
    this.pacer.add(compiled.cost, x * y * z);
    if (this.profiler) this.endPass();
    return this.full;
  }

  /** Whether the submit is long enough. */
  get full(): boolean {
    return this.pacer.full || (this.profiler !== undefined && this.count >= this.profiler.room);
  }

  private passFor(label: string): GPUComputePassEncoder {
    if (this.pass) return this.pass;
    const encoder = this.open();
    const timestampWrites = this.profiler?.begin(label);
    this.pass = encoder.beginComputePass(timestampWrites ? { label, timestampWrites } : undefined);
    return this.pass;
  }

  private readonly nextGroups: (CachedGroup | undefined)[] = [];

  private setGroup(pass: GPUComputePassEncoder, index: number): void {
    const next = this.nextGroups[index];
    if (!next) return;
    const offsets = this.offsets[index] ?? NO_OFFSETS;
    for (const buffer of next.buffers) buffer.stamp = this.serial;
    const last = this.currentOffsets[index];
    if (this.currentGroups[index] === next.group && last && last.length === offsets.length && offsets.every((offset, at) => offset === last[at])) return;
    pass.setBindGroup(index, next.group, offsets);
    this.currentGroups[index] = next.group;
    this.currentOffsets[index] = offsets.length === 0 ? NO_OFFSETS : [...offsets];
  }

  /** Find or make the bind groups of a dispatch. */
  private bind(compiled: Compiled, label: string, args: readonly BindArg[], data: readonly Bytes[]): void {
    let room = 0;
    for (const arg of args) if ("uniform" in arg) room += this.arena.slotBytes(arg.uniform[2] ?? 0);
    if (room > 0 && !this.arena.hasRoom(room)) this.flush();
    const { keys, offsets, nextGroups } = this;
    const { groups, dynamic } = compiled;
    for (let index = 0; index < groups.length; index++) {
      keys[index] = "";
      const list = offsets[index];
      if (list) list.length = 0;
      else offsets[index] = [];
      nextGroups[index] = undefined;
    }
    let uniforms = 0;
    for (const arg of args) {
      const { group, binding } = arg;
      const declared = groups[group]?.bindings.get(binding);
      if (!declared) continue;
      if ("buffer" in arg) {
        keys[group] += arg.offset || arg.size_bytes ? `${binding}b${arg.buffer}+${arg.offset ?? 0}+${arg.size_bytes ?? 0},` : `${binding}b${arg.buffer},`;
        if (dynamic && declared.kind === "uniform") {
          offsets[group]?.push(0);
          uniforms++;
        }
      } else if ("uniform" in arg) {
        const bytes = dataOf(arg.uniform, data);
        const offset = this.arena.put(bytes);
        if (dynamic) {
          offsets[group]?.push(offset);
          keys[group] += `${binding}u${bytes.byteLength},`;
          uniforms++;
        } else keys[group] += `${binding}u${bytes.byteLength}@${offset},`;
      } else if ("texture" in arg) keys[group] += `${binding}t${arg.texture},`;
      else keys[group] += `${binding}s${JSON.stringify(arg.sampler)},`;
    }
    if (uniforms > 1) this.orderOffsets(compiled, args);
    for (const plan of groups) {
      if (!plan) continue;
      const key = keys[plan.index] ?? "";
      nextGroups[plan.index] = plan.cache.get(key) ?? this.makeGroup(plan, key, compiled, label, args);
    }
  }

  /** Dynamic offsets go by binding number, whatever the order of the arguments. */
  private orderOffsets(compiled: Compiled, args: readonly BindArg[]): void {
    this.offsets.forEach((list, group) => {
      if (list.length < 2) return;
      const plan = compiled.groups[group];
      const numbers = args.flatMap((arg) => (arg.group === group && plan?.bindings.get(arg.binding)?.kind === "uniform" ? [arg.binding] : []));
      const sorted = list.map((offset, at) => [numbers[at] ?? 0, offset] as const).sort((a, b) => a[0] - b[0]);
      sorted.forEach(([, offset], at) => {
        list[at] = offset;
      });
    });
  }

  private makeGroup(plan: GroupPlan, key: string, compiled: Compiled, label: string, args: readonly BindArg[]): CachedGroup {
    const records: BufferRecord[] = [];
    const uniform = (arg: UniformArg): GPUBufferBinding => {
      const slot = compiled.dynamic
        ? "0"
        : key
            .split(",")
            .find((part) => part.startsWith(`${arg.binding}u`))
            ?.split("@")[1];
      return { buffer: this.arena.buffer, offset: Number(slot ?? 0), size: Math.ceil((arg.uniform[2] ?? 0) / 16) * 16 };
    };
    this.open(); // The errors of the group and of its samplers belong to this submit's error scope.
    const entries = bindEntries(this.resources, plan, label, args, uniform, (record) => records.push(record));
    const group = this.device.createBindGroup({ label, layout: plan.layout, entries });
    const made: CachedGroup = { key, cache: plan.cache, group, buffers: records, dead: false };
    if (plan.cache.size >= MAX_GROUPS_CACHED) {
      for (const old of plan.cache.values()) old.dead = true;
      plan.cache.clear();
    }
    plan.cache.set(key, made);
    for (const record of records) holdGroup(record, made);
    return made;
  }

  // ---------------------------------------------------------------- programs

  /** Bind groups that belong to a program: kept in `made`, and without an offset to be set later. */
  programGroups(made: ProgramGroups, compiled: Compiled, label: string, args: readonly BindArg[]): PreparedGroup[] {
    return compiled.groups.flatMap((plan) => {
      if (!plan) return [];
      const own = args.filter((arg) => arg.group === plan.index);
      const key = own.map((arg) => ("uniform" in arg ? `${arg.binding}@${made.uniform(arg).offset}` : JSON.stringify(arg))).join();
      const known = made.groups.get(plan)?.get(key);
      if (known) return [known];
      this.open();
      const entries = bindEntries(this.resources, plan, label, own, made.uniform, made.hold);
      const group = this.device.createBindGroup({ label, layout: plan.layout, entries });
      const uniforms = compiled.dynamic ? [...plan.bindings.values()].filter((binding) => binding.kind === "uniform").length : 0;
      const prepared: PreparedGroup = { index: plan.index, group, offsets: new Array<number>(uniforms).fill(0) };
      const ofPlan = made.groups.get(plan) ?? new Map<string, PreparedGroup>();
      made.groups.set(plan, ofPlan.set(key, prepared));
      return [prepared];
    });
  }

  dispatchPrepared(prepared: PreparedDispatch): void {
    const { compiled, label, groups, workgroups, indirect, immediates } = prepared;
    if (this.pacer.wantsOwn(compiled.cost)) this.flush();
    const pass = this.passFor(label);
    this.setPipeline(pass, compiled, label);
    if (immediates) pass.setImmediates(0, immediates);
    for (const { index, group, offsets } of groups) {
      if (this.currentGroups[index] === group) continue;
      pass.setBindGroup(index, group, offsets);
      this.currentGroups[index] = group;
      this.currentOffsets[index] = offsets;
    }
    if (indirect) pass.dispatchWorkgroupsIndirect(indirect.record.buffer, indirect.offset);
    else pass.dispatchWorkgroups(workgroups[0], workgroups[1], workgroups[2]);
    this.dispatches++;
    this.count++;
    this.pacer.add(compiled.cost, workgroups[0] * workgroups[1] * workgroups[2]);
    if (this.profiler) this.endPass();
  }

  private setPipeline(pass: GPUComputePassEncoder, compiled: Compiled, label: string): void {
    if (this.currentPipeline === compiled.pipeline) return;
    pass.setPipeline(compiled.pipeline);
    this.currentPipeline = compiled.pipeline;
    this.labels.add(label);
  }

  /** Refuse more workgroups than the adapter takes. */
  checkWorkgroups(label: string, [x = 1, y = 1, z = 1]: readonly number[]): void {
    const most = this.maxWorkgroups;
    if (x <= most && y <= most && z <= most) return;
    throw limitError(`${label} was called with ${x} x ${y} x ${z} workgroups`, "maxComputeWorkgroupsPerDimension", Math.max(x, y, z), most);
  }

  // ---------------------------------------------------------------- submit

  /** Submit what is recorded. */
  flush(): void {
    const { encoder } = this;
    if (!encoder) return;
    this.endPass();
    this.profiler?.resolve(encoder);
    this.arena.upload();
    const labels = [...this.labels];
    this.encoder = undefined;
    this.labels.clear();
    this.count = 0;
    this.serial++;
    try {
      this.device.queue.submit([encoder.finish()]);
    } finally {
      this.ledger.watch(
        this.device.popErrorScope(),
        (error) => new EngineError("validation", `WebGPU refused ${labels.length > 0 ? `the work of ${labels.join(", ")}` : "a command"}: ${error.message}`),
      );
    }
    this.profiler?.submitted();
    const deferred = this.afterSubmit;
    this.afterSubmit = [];
    for (const action of deferred) action();
    this.pacer.submitted(labels);
  }

  /**
   * Submit commands of the page's own, after what is recorded.
   *
   * @returns what WebGPU found wrong with them, which is the caller's to tell
   */
  submit(label: string, encode: (encoder: GPUCommandEncoder) => void): Promise<GPUError | null> {
    this.flush();
    const { error } = scoped(this.device, ["validation", "out-of-memory"], () => {
      const encoder = this.device.createCommandEncoder({ label });
      encode(encoder);
      this.device.queue.submit([encoder.finish()]);
    });
    this.pacer.submitted([label]);
    return error;
  }

  /** The kernel that the oldest submit without an end is at work on, or those that it may be; empty when nothing is under way. */
  get oldest(): string {
    return this.pacer.oldest();
  }

  /** Whether something submitted has not ended yet. */
  get working(): boolean {
    return this.pacer.working;
  }

  /** Wait while too much is under way, so that cancelling and progress stay prompt. Undefined when there is no need to wait. */
  pace(): Promise<void> | undefined {
    return this.pacer.wait();
  }
}
