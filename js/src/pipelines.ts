/** WGSL to compute pipelines: modules cached by source, pipelines by source, entry point and constants. */
import type { BufferRecord } from "./buffers.js";
import { EngineError, limitError } from "./errors.js";
import { type Cost, newCost } from "./pacing.js";
import type { BindingInfo, CompilationMessage, Compile, CompileResult } from "./protocol.gen.js";
import { ModuleReflection } from "./reflection.js";
import { scoped } from "./scopes.js";
import { minBindingSize } from "./wgsl/layout.js";

export interface CachedGroup {
  readonly key: string;
  readonly cache: Map<string, CachedGroup>;
  readonly group: GPUBindGroup;
  readonly buffers: readonly BufferRecord[];
  dead: boolean;
}

/** One bind group of a pipeline. */
export interface GroupPlan {
  readonly index: number;
  readonly layout: GPUBindGroupLayout;
  readonly bindings: ReadonlyMap<number, BindingInfo>;
  readonly cache: Map<string, CachedGroup>;
}

export interface Compiled {
  readonly pipeline: GPUComputePipeline;
  readonly label: string;
  /** Sparse by group index. */
  readonly groups: readonly (GroupPlan | undefined)[];
  /** Whether uniforms are bound with dynamic offsets (an explicit layout), or each at its own. */
  readonly dynamic: boolean;
  /** Of the entry point's `var<immediate>`; 0 where it has none. */
  readonly immediateBytes: number;
  readonly cost: Cost;
}

interface Module {
  readonly module: GPUShaderModule;
  readonly messages: Promise<CompilationMessage[]>;
  /** Undefined when the parser gave up; the browser's messages are better then. */
  readonly reflection: ModuleReflection | undefined;
  readonly problem: unknown;
}

interface Built {
  readonly result: CompileResult;
  /** Undefined where the module does not say which pipeline is meant: it was only checked. */
  readonly compiled: Compiled | undefined;
}

interface Entry {
  readonly promise: Promise<Built>;
  ready: Compiled | undefined;
  failed: EngineError | undefined;
  users: number;
}

const KEEP_UNUSED = 256;

const BINDING_LIMITS = [
  ["storage", "maxStorageBuffersPerShaderStage"],
  ["uniform", "maxUniformBuffersPerShaderStage"],
  ["texture", "maxSampledTexturesPerShaderStage"],
  ["storage-texture", "maxStorageTexturesPerShaderStage"],
  ["sampler", "maxSamplersPerShaderStage"],
] as const;

export class PipelineStore {
  private readonly modules = new Map<string, Module>();
  private readonly entries = new Map<string, Entry>();
  private readonly handles = new Map<number, { readonly label: string; readonly entry: Entry }>();

  constructor(private readonly device: GPUDevice) {}

  /** Pipelines that are compiled and in use. */
  get size(): number {
    let count = 0;
    for (const { entry } of this.handles.values()) if (entry.ready) count++;
    return count;
  }

  /** Compile, or find what is compiled or being compiled already. */
  compile(command: Compile): Promise<CompileResult> {
    const key = JSON.stringify([command.entry_point, Object.entries(command.constants).sort(), command.source]);
    let entry = this.entries.get(key);
    if (!entry) {
      const made: Entry = { promise: this.build(command), ready: undefined, failed: undefined, users: 0 };
      made.promise.then(
        ({ compiled }) => {
          made.ready = compiled;
          if (!compiled)
            made.failed = new EngineError(
              "binding",
              `${command.label}: the module alone does not say what to run: name the entry point, and give the overrides without default values`,
            );
        },
        (error: unknown) => {
          made.failed = error instanceof EngineError ? error : new EngineError("internal", String(error));
          this.entries.delete(key);
        },
      );
      this.entries.set(key, made);
      entry = made;
    }
    entry.users++;
    this.handles.set(command.pipeline, { label: command.label, entry });
    return entry.promise.then(({ result }) => result);
  }

  /** The pipeline, or a promise of it while it is being compiled. */
  get(handle: number): Compiled | Promise<unknown> {
    const found = this.handles.get(handle)?.entry;
    if (!found)
      throw new EngineError("unknown-handle", `there is no pipeline ${handle} in the browser: it was freed, or it belonged to a device or page that is gone`, {
        handle,
      });
    if (found.failed) throw found.failed;
    return found.ready ?? found.promise;
  }

  label(handle: number): string {
    return this.handles.get(handle)?.label ?? `pipeline ${handle}`;
  }

  free(handle: number): void {
    const found = this.handles.get(handle);
    if (!found) return;
    this.handles.delete(handle);
    found.entry.users--;
    if (this.entries.size <= KEEP_UNUSED) return;
    for (const [key, entry] of this.entries) {
      if (this.entries.size <= KEEP_UNUSED) break;
      if (entry.users === 0) this.entries.delete(key);
    }
  }

  private module(source: string): Module {
    const known = this.modules.get(source);
    if (known) return known;
    const { made: module } = scoped(this.device, ["validation"], () => this.device.createShaderModule({ code: source }));
    let reflection: ModuleReflection | undefined;
    let problem: unknown;
    try {
      reflection = new ModuleReflection(source);
    } catch (error) {
      problem = error;
    }
    const made: Module = { module, reflection, problem, messages: module.getCompilationInfo().then((info) => info.messages.map(plainMessage)) };
    for (const oldest of this.modules.keys()) {
      if (this.modules.size < KEEP_UNUSED) break;
      this.modules.delete(oldest);
    }
    this.modules.set(source, made);
    return made;
  }

  private async build(command: Compile): Promise<Built> {
    const module = this.module(command.source);
    const { reflection } = module;
    if (!reflection) {
      refuseErrors(await module.messages, command.label);
      throw module.problem instanceof EngineError
        ? module.problem
        : new EngineError("internal", `the module compiles and cannot be reflected: ${String(module.problem)}`);
    }
    let made: Promise<Compiled> | undefined;
    let workgroupSize: number[] = [];
    let entryName = "";
    try {
      const entry = reflection.entryPoint(command.entry_point);
      const constants = reflection.constants(entry, command.constants);
      if (entry && reflection.missing(entry, constants).length === 0) {
        entryName = entry.name;
        const bindings = entry.bindings.flatMap((index) => reflection.reflection.bindings[index] ?? []);
        this.checkBindings(command.label, bindings);
        this.checkSlots(command.label, bindings);
        made = this.pipeline(command.label, module.module, entry.name, constants, bindings, usesSubgroupMatrices(command.source));
        made.catch(() => undefined);
        workgroupSize = reflection.workgroupSize(entry, constants);
      }
    } catch (error) {
      refuseErrors(await module.messages, command.label);
      throw error;
    }
    const messages = await module.messages;
    refuseErrors(messages, command.label);
    this.checkWorkgroup(command.label, workgroupSize);
    const compiled = await made?.catch((error: unknown) => {
      if (error instanceof EngineError) throw error;
      throw new EngineError("shader", `${command.label}: ${messageOf(error)}`, { messages, line: 0, column: 0 });
    });
    return { compiled, result: { entry_point: entryName, workgroup_size: workgroupSize, reflection: reflection.reflection, messages } };
  }

  /** Refuse a workgroup larger than the adapter's, with both numbers. */
  private checkWorkgroup(label: string, size: readonly number[]): void {
    const { limits } = this.device;
    const what = `${label}: @workgroup_size(${size.join(", ")})`;
    const all = size.reduce((product, axis) => product * axis, 1);
    for (const [axis, limit] of (["maxComputeWorkgroupSizeX", "maxComputeWorkgroupSizeY", "maxComputeWorkgroupSizeZ"] as const).entries()) {
      const wanted = size[axis] ?? 1;
      if (wanted > limits[limit]) throw limitError(what, limit, wanted, limits[limit]);
    }
    const most = limits.maxComputeInvocationsPerWorkgroup;
    if (all > most) throw limitError(what, "maxComputeInvocationsPerWorkgroup", all, most);
  }

  /** Refuse more bindings of a kind than the adapter has. */
  private checkBindings(label: string, bindings: readonly BindingInfo[]): void {
    for (const [kind, limit] of BINDING_LIMITS) {
      const wanted = bindings.filter((binding) => binding.kind === kind).length;
      const allowed = this.device.limits[limit];
      if (wanted > allowed) throw limitError(`${label}: bindings of kind ${kind}`, limit, wanted, allowed);
    }
  }

  /** Refuse variables that share a slot, and slots that the adapter has not. */
  private checkSlots(label: string, bindings: readonly BindingInfo[]): void {
    const { maxBindGroups, maxBindingsPerBindGroup } = this.device.limits;
    const taken = new Map<string, string>();
    for (const { name, group, binding, kind } of bindings) {
      if (kind === "immediate") continue;
      const slot = `@group(${group}) @binding(${binding})`;
      if (group >= maxBindGroups) throw limitError(`${label}: ${slot} of ${name}; groups count from 0`, "maxBindGroups", group + 1, maxBindGroups);
      if (binding >= maxBindingsPerBindGroup)
        throw limitError(`${label}: ${slot} of ${name}; bindings count from 0`, "maxBindingsPerBindGroup", binding + 1, maxBindingsPerBindGroup);
      const other = taken.get(slot);
      if (other !== undefined)
        throw new EngineError("binding", `${label}: ${other} and ${name} are both at ${slot}, and this entry point uses both: give each a slot of its own`, {
          names: [other, name],
        });
      taken.set(slot, name);
    }
  }

  /** The size of the entry point's immediate data, which the adapter must have room for. */
  private immediateBytes(label: string, bindings: readonly BindingInfo[]): number {
    const immediate = bindings.find((binding) => binding.kind === "immediate");
    if (!immediate) return 0;
    const size = Math.ceil(immediate.type.size / 4) * 4;
    const most = this.device.limits.maxImmediateSize ?? 0;
    if (size > most) throw limitError(`${label}: var<immediate> ${immediate.name} has ${size} bytes`, "maxImmediateSize", size, most);
    return size;
  }

  private async pipeline(
    label: string,
    module: GPUShaderModule,
    entryPoint: string,
    constants: Record<string, number>,
    bindings: readonly BindingInfo[],
    sizesLater: boolean,
  ): Promise<Compiled> {
    const byGroup: (BindingInfo[] | undefined)[] = [];
    const immediateBytes = this.immediateBytes(label, bindings);
    const bound = bindings.filter((binding) => binding.kind !== "immediate");
    for (const binding of bound) {
      const list = byGroup[binding.group] ?? [];
      byGroup[binding.group] = list;
      list.push(binding);
    }
    const uniforms = bindings.filter((binding) => binding.kind === "uniform").length;
    // Textures are left to WebGPU's own choice of layout, which knows what is filtered.
    const dynamic =
      bound.every((binding) => binding.kind === "uniform" || binding.kind === "storage") &&
      uniforms <= this.device.limits.maxDynamicUniformBuffersPerPipelineLayout;
    const { device } = this;
    const { made, error } = scoped(device, ["validation"], () => {
      const entries = (list: readonly BindingInfo[] | undefined) => (list ?? []).map((binding) => layoutEntry(binding, sizesLater));
      const explicit = dynamic ? Array.from(byGroup, (list) => device.createBindGroupLayout({ label, entries: entries(list) })) : undefined;
      const layout = explicit ? device.createPipelineLayout({ label, bindGroupLayouts: explicit, immediateSize: immediateBytes }) : "auto";
      return { explicit, compiling: device.createComputePipelineAsync({ label, layout, compute: { module, entryPoint, constants } }) };
    });
    const { explicit, compiling } = made;
    compiling.catch(() => undefined);
    const refused = await error;
    if (refused) throw new EngineError("binding", `${label}: ${refused.message}`);
    const pipeline = await compiling;
    const groups = Array.from(byGroup, (list, index): GroupPlan | undefined => {
      if (!list) return undefined;
      const bindingsByNumber = new Map(list.map((binding) => [binding.binding, binding]));
      return { index, layout: explicit?.[index] ?? pipeline.getBindGroupLayout(index), bindings: bindingsByNumber, cache: new Map() };
    });
    return { pipeline, label, groups, dynamic, immediateBytes, cost: newCost() };
  }
}

/**
 * Whether a module moves subgroup matrices. Dawn counts such a load or store as a use of so many bytes as the matrix has (a store of 16 x 16 floats: 1,024,
 * whatever the variable's type), and refuses a layout that promises fewer.
 */
export function usesSubgroupMatrices(source: string): boolean {
  return /\bsubgroupMatrix(Load|Store)\b/.test(source);
}

/** What a layout says of a binding of uniforms or storage. With `sizesLater` WebGPU compares the buffer's size with what the shader needs at each dispatch instead. */
export function layoutEntry(binding: BindingInfo, sizesLater = false): GPUBindGroupLayoutEntry {
  const minSize = sizesLater ? 0 : Math.ceil(minBindingSize(binding.type) / 4) * 4;
  const buffer: GPUBufferBindingLayout =
    binding.kind === "uniform"
      ? { type: "uniform", hasDynamicOffset: true, minBindingSize: minSize }
      : { type: binding.access === "read" ? "read-only-storage" : "storage", minBindingSize: minSize };
  return { binding: binding.binding, visibility: GPUShaderStage.COMPUTE, buffer };
}

export function plainMessage(message: GPUCompilationMessage): CompilationMessage {
  return { severity: message.type, message: message.message, line: message.lineNum, column: message.linePos, length: message.length };
}

export function refuseErrors(messages: readonly CompilationMessage[], label: string): void {
  const error = messages.find((message) => message.severity === "error");
  if (error) throw new EngineError("shader", `${label}: ${error.message}`, { messages, line: error.line, column: error.column });
}

function messageOf(error: unknown): string {
  return error instanceof Error || error instanceof DOMException ? error.message : String(error);
}
