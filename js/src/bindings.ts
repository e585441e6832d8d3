import type { BufferRecord, BufferStore } from "./buffers.js";
import { EngineError, limitError } from "./errors.js";
import type { GroupPlan } from "./pipelines.js";
import type { BindArg, UniformArg } from "./protocol.gen.js";
import type { TextureStore } from "./textures.js";

/** What arguments refer to. */
export interface Resources {
  readonly device: GPUDevice;
  readonly buffers: BufferStore;
  readonly textures: TextureStore;
}

/** A bind group's entries from a dispatch's arguments, checked by name before WebGPU checks them by number. */
export function bindEntries(
  resources: Resources,
  plan: GroupPlan,
  label: string,
  args: readonly BindArg[],
  uniform: (arg: UniformArg) => GPUBufferBinding,
  hold: (record: BufferRecord) => void,
): GPUBindGroupEntry[] {
  const entries: GPUBindGroupEntry[] = [];
  for (const arg of args) {
    if (arg.group !== plan.index) continue;
    const declared = plan.bindings.get(arg.binding);
    if (!declared) continue;
    const { binding } = arg;
    if ("buffer" in arg) {
      const record = resources.buffers.get(arg.buffer);
      const offset = arg.offset ?? 0;
      const what = `${label}: ${declared.name}`;
      const size = arg.size_bytes || record.sizeBytes - offset;
      resources.buffers.range(record, offset, size, what);
      const limit = declared.kind === "uniform" ? "maxUniformBufferBindingSize" : "maxStorageBufferBindingSize";
      const most = resources.device.limits[limit];
      if (size > most) throw limitError(`${what} binds ${size} bytes`, limit, size, most);
      entries.push({ binding, resource: { buffer: record.buffer, offset, size } });
      hold(record);
    } else if ("uniform" in arg) entries.push({ binding, resource: uniform(arg) });
    else if ("texture" in arg) entries.push({ binding, resource: resources.textures.view(arg.texture) });
    else entries.push({ binding, resource: resources.textures.sampler(arg.sampler) });
  }
  const missing = [...plan.bindings.values()].filter((wanted) => !entries.some((entry) => entry.binding === wanted.binding));
  if (missing.length > 0) {
    const names = missing.map((wanted) => `${wanted.name} (@group(${wanted.group}) @binding(${wanted.binding}))`);
    throw new EngineError("binding", `${label}: nothing is bound to ${names.join(", ")}`);
  }
  return entries;
}
