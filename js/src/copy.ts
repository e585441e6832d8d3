/** Copies between buffers. */
import { EngineError } from "./errors.js";
import type { Gpu } from "./gpu.js";
import type { CopyBuffer } from "./protocol.gen.js";

/** Copy on the GPU. Within one buffer the way goes through another, because WebGPU allows no copy of a buffer to itself. */
export function copyBuffer(gpu: Gpu, command: CopyBuffer): void {
  const { buffers, recorder, device } = gpu;
  const [from, to] = [buffers.get(command.source), buffers.get(command.target)];
  const size = buffers.range(from, command.source_offset, command.size_bytes, "copy from");
  if (size === 0) return;
  buffers.range(to, command.target_offset, size, "copy to");
  recorder.touch(from);
  recorder.touch(to);
  if (from !== to) {
    recorder.commands().copyBufferToBuffer(from.buffer, command.source_offset, to.buffer, command.target_offset, size);
    return;
  }
  if (size > device.limits.maxBufferSize) throw new EngineError("limit", "too large for a copy within one buffer");
  const between = device.createBuffer({ label: "copy", size, usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
  const encoder = recorder.commands();
  encoder.copyBufferToBuffer(from.buffer, command.source_offset, between, 0, size);
  encoder.copyBufferToBuffer(between, 0, to.buffer, command.target_offset, size);
  recorder.defer(() => between.destroy());
}
