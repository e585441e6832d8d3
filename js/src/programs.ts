/** Recorded commands, prepared once and replayed with as little work a step as a hand-written loop. */
import type { BufferRecord } from "./buffers.js";
import { dataOf, immediatesOf, type PreparedDispatch, type ProgramGroups } from "./dispatch.js";
import { EngineError } from "./errors.js";
import type { Gpu } from "./gpu.js";
import type { BindArg, Command } from "./protocol.gen.js";
import type { Bytes } from "./session.js";

type Step =
  | { readonly kind: "dispatch"; readonly run: PreparedDispatch }
  | {
      readonly kind: "copy";
      readonly from: BufferRecord;
      readonly fromOffset: number;
      readonly to: BufferRecord;
      readonly toOffset: number;
      readonly sizeBytes: number;
    }
  | { readonly kind: "clear"; readonly target: BufferRecord; readonly offset: number; readonly sizeBytes: number };

export interface Program {
  readonly steps: readonly Step[];
  readonly buffers: readonly BufferRecord[];
  /** Own buffers: uniforms and the bytes of writes. */
  readonly own: readonly GPUBuffer[];
}

/** Prepare commands: look up what they name, make bind groups, lay the uniforms into a buffer of their own. */
export async function prepare(gpu: Gpu, commands: readonly Command[], data: readonly Bytes[]): Promise<Program> {
  const uniforms = new UniformLayout(gpu.device);
  for (const command of commands) {
    if (command.op === "dispatch") for (const arg of command.args) if ("uniform" in arg) uniforms.add(arg, dataOf(arg.uniform, data));
  }
  const arena = uniforms.build();
  const own = arena ? [arena] : [];
  const used = new Set<BufferRecord>();
  const made: ProgramGroups = {
    groups: new Map(),
    uniform: (arg) => uniforms.binding(arg),
    hold: (record) => {
      used.add(record);
    },
  };
  const steps: Step[] = [];
  for (const command of commands) {
    switch (command.op) {
      case "dispatch": {
        let compiled = gpu.pipelines.get(command.pipeline);
        while (compiled instanceof Promise) {
          await compiled.catch(() => undefined);
          compiled = gpu.pipelines.get(command.pipeline);
        }
        const label = gpu.pipelines.label(command.pipeline);
        gpu.recorder.checkWorkgroups(label, command.workgroups);
        const [x = 1, y = 1, z = 1] = command.workgroups;
        if (!command.indirect && x * y * z === 0) break;
        const groups = gpu.recorder.programGroups(made, compiled, label, command.args);
        const [handle = 0, offset = 0] = command.indirect ?? [];
        const indirect = command.indirect ? { record: gpu.buffers.get(handle), offset } : undefined;
        if (indirect) used.add(indirect.record);
        const immediates = compiled.immediateBytes > 0 ? immediatesOf(compiled, label, command.args, data) : undefined;
        steps.push({ kind: "dispatch", run: { compiled, label, groups, workgroups: [x, y, z], indirect, immediates } });
        break;
      }
      case "copy-buffer": {
        const [from, to] = [gpu.buffers.get(command.source), gpu.buffers.get(command.target)];
        const sizeBytes = command.size_bytes;
        gpu.buffers.range(from, command.source_offset, sizeBytes, "copy");
        gpu.buffers.range(to, command.target_offset, sizeBytes, "copy");
        if (from === to) throw new EngineError("validation", "a program cannot copy within one buffer");
        used.add(from).add(to);
        steps.push({ kind: "copy", from, fromOffset: command.source_offset, to, toOffset: command.target_offset, sizeBytes });
        break;
      }
      case "clear-buffer": {
        const target = gpu.buffers.get(command.buffer);
        used.add(target);
        gpu.buffers.range(target, command.offset, command.size_bytes, "clear");
        steps.push({ kind: "clear", target, offset: command.offset, sizeBytes: command.size_bytes });
        break;
      }
      case "write-buffer": {
        const to = gpu.buffers.get(command.buffer);
        const bytes = dataOf(command.data, data);
        gpu.buffers.range(to, command.offset, bytes.byteLength, "write");
        const source = gpu.device.createBuffer({ label: "program's data", size: bytes.byteLength, usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
        gpu.device.queue.writeBuffer(source, 0, bytes);
        own.push(source);
        used.add(to);
        const from: BufferRecord = { handle: -1, label: "program's data", sizeBytes: bytes.byteLength, buffer: source, stamp: 0, groups: [], compactAt: 64 };
        steps.push({ kind: "copy", from, fromOffset: 0, to, toOffset: command.offset, sizeBytes: bytes.byteLength });
        break;
      }
      default:
        throw new EngineError("validation", `a program cannot hold ${command.op}; it holds dispatch, copy-buffer, clear-buffer and write-buffer`);
    }
  }
  return { steps, buffers: [...used], own };
}

/** The uniforms of a program: each distinct block of bytes once. */
class UniformLayout {
  private readonly offsets = new Map<BindArg, { readonly offset: number; readonly sizeBytes: number }>();
  private readonly blocks = new Map<string, number>();
  private readonly parts: { readonly offset: number; readonly bytes: Bytes }[] = [];
  private used = 0;
  private arena: GPUBuffer | undefined;

  constructor(private readonly device: GPUDevice) {}

  add(arg: BindArg, bytes: Bytes): void {
    const key = String.fromCharCode(...bytes);
    let offset = this.blocks.get(key);
    if (offset === undefined) {
      offset = this.used;
      const step = Math.max(16, this.device.limits.minUniformBufferOffsetAlignment);
      this.used += Math.ceil(bytes.byteLength / step) * step;
      this.blocks.set(key, offset);
      this.parts.push({ offset, bytes });
    }
    this.offsets.set(arg, { offset, sizeBytes: Math.ceil(bytes.byteLength / 16) * 16 });
  }

  build(): GPUBuffer | undefined {
    if (this.used === 0) return undefined;
    const arena = this.device.createBuffer({ label: "program's uniforms", size: this.used, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
    const all = new Uint8Array(this.used);
    for (const { offset, bytes } of this.parts) all.set(bytes, offset);
    this.device.queue.writeBuffer(arena, 0, all);
    this.arena = arena;
    return arena;
  }

  binding(arg: BindArg): GPUBufferBinding {
    const place = this.offsets.get(arg);
    if (!place || !this.arena) throw new EngineError("internal", "a uniform of a program has no place");
    return { buffer: this.arena, offset: place.offset, size: place.sizeBytes };
  }
}

/** Replay, in submits of the pacer's length, until `stopped`. */
export async function replay(gpu: Gpu, program: Program, times: number, stopped: () => boolean): Promise<void> {
  const { recorder } = gpu;
  const touch = (): void => {
    for (const record of program.buffers) recorder.touch(record);
  };
  touch();
  for (let done = 0; done < times; done++) {
    for (const step of program.steps) {
      if (step.kind === "dispatch") recorder.dispatchPrepared(step.run);
      else if (step.kind === "copy") recorder.commands().copyBufferToBuffer(step.from.buffer, step.fromOffset, step.to.buffer, step.toOffset, step.sizeBytes);
      else recorder.commands().clearBuffer(step.target.buffer, step.offset, step.sizeBytes);
      if (!recorder.full) continue;
      recorder.flush();
      touch();
      const waiting = recorder.pace();
      if (!waiting) continue;
      await waiting;
      if (stopped()) return;
    }
  }
}
