/** Copies between buffers. */
import type { BufferRecord } from "./buffers.js";
import { limitError } from "./errors.js";
import type { Gpu } from "./gpu.js";
import type { CopyBuffer } from "./protocol.gen.js";
import copy from "./shaders/copy.wgsl";

/** From this size on a kernel copies faster than copyBufferToBuffer (0.8 against 2.5 TB/s on an NVIDIA H100). */
const KERNEL_BYTES = 32 << 20;
const VECTOR_BYTES = 16;
const PER_THREAD = 4;
const WORKGROUP = 256;

/** Copy on the GPU. Within one buffer the way goes through another, because WebGPU allows no copy of a buffer to itself. */
export function copyBuffer(gpu: Gpu, command: CopyBuffer): void {
  const { buffers, recorder, device } = gpu;
  const [source, target] = [buffers.get(command.source), buffers.get(command.target)];
  const size = command.size_bytes;
  buffers.range(source, command.source_offset, size, "copy from");
  if (size === 0) return;
  buffers.range(target, command.target_offset, size, "copy to");
  recorder.touch(source);
  recorder.touch(target);
  if (source !== target) {
    if (!copyByKernel(gpu, source, command.source_offset, target, command.target_offset, size)) {
      recorder.commands().copyBufferToBuffer(source.buffer, command.source_offset, target.buffer, command.target_offset, size);
    }
    return;
  }
  if (size > device.limits.maxBufferSize) throw limitError("a copy within one buffer", "maxBufferSize", size, device.limits.maxBufferSize);
  const between = device.createBuffer({ label: "copy", size, usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
  const encoder = recorder.commands();
  encoder.copyBufferToBuffer(source.buffer, command.source_offset, between, 0, size);
  encoder.copyBufferToBuffer(between, 0, target.buffer, command.target_offset, size);
  recorder.defer(() => between.destroy());
}

/** Copy by a kernel, where the copy is large and aligned and the adapter is a real GPU. Returns whether it did. */
function copyByKernel(gpu: Gpu, source: BufferRecord, sourceOffset: number, target: BufferRecord, targetOffset: number, size: number): boolean {
  const { device, info, recorder } = gpu;
  const { minStorageBufferOffsetAlignment: step, maxStorageBufferBindingSize } = device.limits;
  if (info.is_fallback || size < KERNEL_BYTES || size > maxStorageBufferBindingSize || size % VECTOR_BYTES || sourceOffset % step || targetOffset % step)
    return false;
  const count = size / VECTOR_BYTES;
  const width = Math.ceil(count / PER_THREAD / WORKGROUP) * WORKGROUP;
  const pipeline = gpu.helper(`copy ${count}`, copy, { WIDTH: width, COUNT: count });
  const pass = recorder.ownPass(pipeline, [
    { buffer: source.buffer, offset: sourceOffset, size },
    { buffer: target.buffer, offset: targetOffset, size },
  ]);
  const groups = width / WORKGROUP;
  const x = Math.min(groups, device.limits.maxComputeWorkgroupsPerDimension);
  pass.dispatchWorkgroups(x, Math.ceil(groups / x));
  pass.end();
  return true;
}
