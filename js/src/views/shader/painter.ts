/** A shader's pipelines and what is bound to them: draws one picture into a target, on the device of a GPU. */
import { EngineError, limitError } from "../../errors.js";
import type { Gpu } from "../../gpu.js";
import { plainMessage, refuseErrors } from "../../pipelines.js";
import type { BindingInfo, Picture, ViewFrame } from "../../protocol.gen.js";
import { ModuleReflection } from "../../reflection.js";
import { scoped } from "../../scopes.js";
import picture from "../../shaders/picture.wgsl";
import { minBindingSize } from "../../wgsl/layout.js";
import { type Composed, compose, FRAME_TYPES, type Inputs, NAN_PIXELS, SCALE } from "./compose.js";
import { pack } from "./pack.js";

/** Of the uniforms, by name; `pack` looks at them. */
export type Values = Picture["values"];

/** How errors and a lost device name the work of views. */
export const LABEL = "shader view";
const LIMITS = [
  ["uniform", "maxUniformBuffersPerShaderStage"],
  ["storage", "maxStorageBuffersPerShaderStage"],
  ["texture", "maxSampledTexturesPerShaderStage"],
  ["sampler", "maxSamplersPerShaderStage"],
] as const;
const TARGET_USAGE = (): number => GPUTextureUsage.RENDER_ATTACHMENT | GPUTextureUsage.COPY_SRC;

interface Place {
  readonly binding: BindingInfo;
  readonly offset: number;
  readonly size: number;
}

type Groups = readonly (readonly [number, GPUBindGroup])[];

/** A pipeline with its bind groups, made anew when a buffer or texture under a name is another one. */
interface Bound<P extends GPURenderPipeline | GPUComputePipeline> {
  readonly pipeline: P;
  resources: readonly unknown[];
  groups: Groups;
}

export class Painter {
  private readonly drawings = new Map<GPUTextureFormat, Bound<GPURenderPipeline>>();
  private kernel: Bound<GPUComputePipeline> | undefined;
  private output: GPUTexture | undefined;
  private target: GPUTexture | undefined;
  private readonly uniforms: GPUBuffer;
  private readonly bytes: Uint8Array<ArrayBuffer>;
  /** Pixels of the last picture that were NaN. */
  private readonly counter: GPUBuffer;

  private constructor(
    readonly gpu: Gpu,
    readonly composed: Composed,
    private readonly module: GPUShaderModule,
    private readonly bindings: readonly BindingInfo[],
    private readonly places: ReadonlyMap<string, Place>,
    private readonly workgroup: readonly number[],
    private readonly outputFormat: GPUTextureFormat | undefined,
    public inputs: Inputs,
  ) {
    const { device } = gpu;
    const size = Math.max(16, ...[...places.values()].map((place) => place.offset + place.size));
    this.bytes = new Uint8Array(size);
    this.uniforms = device.createBuffer({ label: LABEL, size, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
    this.counter = device.createBuffer({ label: LABEL, size: 4, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC });
  }

  /** Compile a shader; what is wrong with it is thrown with line and column. */
  static async build(gpu: Gpu, source: string, inputs: Inputs): Promise<Painter> {
    const { device } = gpu;
    let composed: Composed;
    let reflection: ModuleReflection;
    try {
      composed = compose(source, inputs);
      reflection = new ModuleReflection(composed.code);
    } catch (error) {
      const { made } = scoped(device, ["validation"], () => device.createShaderModule({ label: LABEL, code: source }));
      const messages = (await made.getCompilationInfo()).messages.map(plainMessage);
      // A name that is the view's to declare is unknown to the compiler here; what cannot be read is not.
      if (!(error instanceof EngineError)) refuseErrors(messages, LABEL);
      throw error;
    }
    const { made: module } = scoped(device, ["validation"], () => device.createShaderModule({ label: LABEL, code: composed.code }));
    const messages = (await module.getCompilationInfo()).messages.map(plainMessage);
    refuseErrors(messages, LABEL);
    const bindings = reflection.bindingsOf(composed.entryPoint);
    checkCounts(device, bindings);
    const outputFormat = composed.form === "compute" ? outputOf(bindings, inputs) : undefined;
    const entry = composed.form === "compute" ? reflection.entryPoint(composed.entryPoint) : undefined;
    const workgroup = entry ? reflection.workgroupSize(entry, {}) : [];
    const places = layOut(bindings, device.limits.minUniformBufferOffsetAlignment);
    const painter = new Painter(gpu, composed, module, bindings, places, workgroup, outputFormat, inputs);
    if (composed.form === "compute") painter.kernel = await painter.computePipeline();
    return painter;
  }

  /** Have the pipeline for targets of a format. */
  async prepare(format: GPUTextureFormat): Promise<void> {
    if (!this.drawings.has(format)) this.drawings.set(format, await this.renderPipeline(format));
  }

  private async renderPipeline(format: GPUTextureFormat): Promise<Bound<GPURenderPipeline>> {
    const { device } = this.gpu;
    const copy = this.composed.form === "compute";
    const { made, error } = scoped(device, ["validation"], () => {
      const own = device.createShaderModule({ label: LABEL, code: picture });
      return device.createRenderPipelineAsync({
        label: LABEL,
        layout: "auto",
        vertex: { module: own, entryPoint: "corner" },
        fragment: copy
          ? { module: own, entryPoint: "copy", targets: [{ format }] }
          : { module: this.module, entryPoint: this.composed.entryPoint, targets: [{ format }] },
      });
    });
    const pipeline = await compiled(made, error);
    return { pipeline, resources: [], groups: [] };
  }

  private async computePipeline(): Promise<Bound<GPUComputePipeline>> {
    const { device } = this.gpu;
    const { made, error } = scoped(device, ["validation"], () =>
      device.createComputePipelineAsync({ label: LABEL, layout: "auto", compute: { module: this.module, entryPoint: this.composed.entryPoint } }),
    );
    const pipeline = await compiled(made, error);
    return { pipeline, resources: [], groups: [] };
  }

  // ---------------------------------------------------------------- what is bound

  /** What stands behind a binding's name now. */
  private resource(binding: BindingInfo): GPUBindingResource {
    const { name } = binding;
    const place = this.places.get(name);
    if (place) return { buffer: this.uniforms, offset: place.offset, size: place.size };
    if (name === NAN_PIXELS) return { buffer: this.counter };
    const input = this.inputs[name];
    if (!input) {
      if (binding.kind === "storage-texture" && this.output) return this.output.createView();
      throw new EngineError("binding", `nothing is bound to ${name} (@group(${binding.group}) @binding(${binding.binding})): pass ${name}=... to the view`);
    }
    return this.given(binding, input);
  }

  private given(binding: BindingInfo, input: Inputs[string]): GPUBindingResource {
    const { name, kind, access, type } = binding;
    const { gpu } = this;
    if (kind === "storage" && access !== "read")
      throw new EngineError("binding", `${name} is declared var<storage, ${access}>; a view reads: declare it var<storage, read>, and write to it by a kernel`);
    if (input.kind === "array" && kind === "storage") {
      checkElement(name, type, input.type);
      const record = gpu.buffers.get(input.buffer);
      const needed = minBindingSize(type);
      if (needed > input.size_bytes)
        throw new EngineError("binding", `${name} has ${input.size_bytes} bytes, and the shader's variable needs ${needed}: pass a larger array`);
      const most = gpu.device.limits.maxStorageBufferBindingSize;
      if (input.size_bytes > most) throw limitError(`${name} binds ${input.size_bytes} bytes`, "maxStorageBufferBindingSize", input.size_bytes, most);
      return { buffer: record.buffer, size: Math.ceil(input.size_bytes / 4) * 4 };
    }
    if (input.kind === "texture" && (kind === "texture" || kind === "storage-texture")) return gpu.textures.view(input.texture);
    if (input.kind === "sampler" && kind === "sampler") return gpu.textures.sampler(input.sampler);
    throw new EngineError("binding", `${name} is declared as ${kind}, and what the view was given for it is ${article(input.kind)}`);
  }

  private bind(bound: Bound<GPURenderPipeline | GPUComputePipeline>, bindings: readonly BindingInfo[]): Groups {
    const found = bindings.map((binding) => this.resource(binding));
    const identities = found.map((resource) => ("buffer" in resource ? resource.buffer : resource));
    if (identities.length !== bound.resources.length || identities.some((identity, at) => identity !== bound.resources[at])) {
      const byGroup = new Map<number, GPUBindGroupEntry[]>();
      bindings.forEach(({ group, binding }, at) => {
        const resource = found[at];
        if (!resource) return;
        const entries = byGroup.get(group) ?? [];
        entries.push({ binding, resource });
        byGroup.set(group, entries);
      });
      const { device } = this.gpu;
      bound.groups = [...byGroup].map(([group, entries]) => [
        group,
        device.createBindGroup({ label: LABEL, layout: bound.pipeline.getBindGroupLayout(group), entries }),
      ]);
      bound.resources = identities;
    }
    return bound.groups;
  }

  /** Write the uniforms of a frame; each pixel of the target is `scale` pixels of the picture wide and high. */
  private write(frame: ViewFrame, values: Values, scale: readonly [number, number]): void {
    const [width, height] = frame.size;
    const [x, y, pressedX, pressedY] = frame.mouse;
    const up = this.composed.yUp;
    const own: Values = {
      iTime: frame.time,
      iTimeDelta: frame.delta,
      iFrameRate: frame.delta > 0 ? 1 / frame.delta : 0,
      iFrame: frame.frame,
      iResolution: [width, height, 1],
      iMouse: up ? [x, height - y, pressedX, Math.sign(pressedY) * (height - Math.abs(pressedY))] : [x, y, pressedX, pressedY],
      iDate: dateNow(),
      [SCALE]: scale,
    };
    for (const [name, { binding, offset }] of this.places) {
      const isOwn = name === SCALE || (FRAME_TYPES[name] !== undefined && this.inputs[name] === undefined);
      if (!isOwn && !Object.hasOwn(values, name)) throw new EngineError("binding", `the uniform ${name} has no value: pass ${name}=... to the view`);
      this.bytes.set(pack(binding.type, isOwn ? own[name] : values[name], name), offset);
    }
    if (this.places.size > 0) this.gpu.device.queue.writeBuffer(this.uniforms, 0, this.bytes);
  }

  // ---------------------------------------------------------------- drawing

  /**
   * Write what a picture needs, and run its kernel where it has one; `encode` draws it after.
   *
   * @param scale pixels of the picture in one of the target
   */
  begin(encoder: GPUCommandEncoder, frame: ViewFrame, values: Values, scale: readonly [number, number] = [1, 1]): void {
    const most = this.gpu.device.limits.maxTextureDimension2D;
    const widest = Math.max(...frame.size);
    if (widest > most) throw limitError(`a picture of ${frame.size.join(" x ")} pixels`, "maxTextureDimension2D", widest, most);
    this.write(frame, values, scale);
    if (this.composed.form === "function") encoder.clearBuffer(this.counter);
    if (!this.kernel || !this.outputFormat) return;
    const [width, height] = frame.size;
    if (!this.output || this.output.width !== width || this.output.height !== height) {
      this.output?.destroy();
      const usage = GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.TEXTURE_BINDING;
      this.output = this.gpu.device.createTexture({ label: LABEL, format: this.outputFormat, size: [width, height], usage });
      this.kernel.resources = [];
    }
    const groups = this.bind(this.kernel, this.bindings);
    const pass = encoder.beginComputePass({ label: LABEL });
    pass.setPipeline(this.kernel.pipeline);
    for (const [index, group] of groups) pass.setBindGroup(index, group);
    const [x = 1, y = 1] = this.workgroup;
    pass.dispatchWorkgroups(Math.ceil(width / x), Math.ceil(height / y));
    pass.end();
  }

  /** Draw what was begun into a target of a format that was prepared, or some of its rows. */
  encode(encoder: GPUCommandEncoder, view: GPUTextureView, format: GPUTextureFormat, rows?: readonly [number, number], width = 0): void {
    const bound = this.drawings.get(format);
    if (!bound) throw new EngineError("internal", `no pipeline was prepared for ${format}`);
    const groups = this.composed.form === "compute" ? this.bindOutput(bound) : this.bind(bound, this.bindings);
    const first = !rows || rows[0] === 0;
    const pass = encoder.beginRenderPass({ label: LABEL, colorAttachments: [{ view, loadOp: first ? "clear" : "load", storeOp: "store" }] });
    pass.setPipeline(bound.pipeline);
    for (const [index, group] of groups) pass.setBindGroup(index, group);
    if (rows) pass.setScissorRect(0, rows[0], width, rows[1] - rows[0]);
    pass.draw(3);
    pass.end();
  }

  private bindOutput(bound: Bound<GPURenderPipeline>): Groups {
    const { output } = this;
    if (output && bound.resources[0] !== output) {
      const entries = [{ binding: 0, resource: output.createView() }];
      bound.groups = [[0, this.gpu.device.createBindGroup({ label: LABEL, layout: bound.pipeline.getBindGroupLayout(0), entries })]];
      bound.resources = [output];
    }
    return bound.groups;
  }

  /** A texture to draw into and to copy from, kept for the next picture of its size. */
  targetOf(width: number, height: number): GPUTexture {
    if (this.target?.width !== width || this.target.height !== height) {
      this.target?.destroy();
      this.target = this.gpu.device.createTexture({ label: LABEL, format: "rgba8unorm", size: [width, height], usage: TARGET_USAGE() });
    }
    return this.target;
  }

  /** Copy the number of pixels that were NaN to where it can be read. */
  copyCount(encoder: GPUCommandEncoder, to: GPUBuffer, offset: number): void {
    encoder.copyBufferToBuffer(this.counter, 0, to, offset, 4);
  }

  destroy(): void {
    if (this.gpu.dead) return;
    for (const resource of [this.uniforms, this.counter, this.output, this.target]) resource?.destroy();
  }
}

async function compiled<P>(making: Promise<P>, error: Promise<GPUError | null>): Promise<P> {
  making.catch(() => undefined);
  const refused = await error;
  if (refused) throw new EngineError("shader", `${LABEL}: ${refused.message}`, { messages: [], line: 0, column: 0 });
  try {
    return await making;
  } catch (failure) {
    throw new EngineError("shader", `${LABEL}: ${failure instanceof Error ? failure.message : String(failure)}`, { messages: [], line: 0, column: 0 });
  }
}

function article(kind: string): string {
  return /^[aeiou]/.test(kind) && kind !== "uniform" ? `an ${kind}` : `a ${kind}`;
}

function dateNow(): number[] {
  const now = new Date();
  return [now.getFullYear(), now.getMonth(), now.getDate(), now.getHours() * 3600 + now.getMinutes() * 60 + now.getSeconds() + now.getMilliseconds() / 1000];
}

function checkCounts(device: GPUDevice, bindings: readonly BindingInfo[]): void {
  for (const [kind, limit] of LIMITS) {
    const wanted = bindings.filter((binding) => binding.kind === kind).length;
    const allowed = device.limits[limit];
    if (wanted > allowed) throw limitError(`${LABEL}: bindings of kind ${kind} (numbers can share a struct in one var<uniform>)`, limit, wanted, allowed);
  }
}

/** The format of the texture that a kernel draws: the one that it writes and nobody gave. */
function outputOf(bindings: readonly BindingInfo[], inputs: Inputs): GPUTextureFormat {
  const written = bindings.filter(({ kind, access, name }) => kind === "storage-texture" && access !== "read" && !inputs[name]);
  const [only] = written;
  const names = written.map(({ name }) => name).join(", ");
  if (!only || written.length > 1)
    throw new EngineError("binding", `a kernel draws into one texture_storage_2d that it writes; this one writes ${names || "none"}`);
  const { type } = only;
  if (type.type !== "opaque" || !type.name.startsWith("texture_storage_2d<") || !/(unorm|float)/.test(type.format ?? ""))
    throw new EngineError(
      "binding",
      `${only.name} is a ${type.type === "opaque" ? type.name : type.type}; a view shows a texture_storage_2d of rgba8unorm, rgba16float or rgba32float`,
    );
  return type.format as GPUTextureFormat;
}

/** Refuse numbers of another type, and elements with padding, which a tight array has not. */
function checkElement(name: string, declared: BindingInfo["type"], given: string): void {
  const element = /^array<(\w+)>$/.exec(given)?.[1];
  let type = declared;
  while (type.type === "array") {
    if (type.elem.type === "vector" && type.elem.count === 3)
      throw new EngineError(
        "binding",
        `${name} is declared as an array of vec3, whose elements WGSL pads to 16 bytes: declare array<${element}>, or pass four columns`,
      );
    type = type.elem;
  }
  const scalar = type.type === "scalar" ? type.name : type.type === "vector" || type.type === "matrix" ? type.elem : undefined;
  if (scalar !== undefined && element !== undefined && scalar !== element)
    throw new EngineError("binding", `${name} is declared as ${scalar}, and the array has ${element}: declare it so, or pass astype`);
}

function layOut(bindings: readonly BindingInfo[], alignment: number): Map<string, Place> {
  const places = new Map<string, Place>();
  let offset = 0;
  for (const binding of bindings) {
    if (binding.kind !== "uniform") continue;
    const size = Math.ceil(binding.type.size / 16) * 16;
    places.set(binding.name, { binding, offset, size });
    offset += Math.ceil(size / alignment) * alignment;
  }
  return places;
}
