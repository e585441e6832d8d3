// The engine's own reflection for other front ends: a compile command a line in, what the pipeline needs a line out. Bundled by its caller.
import { createInterface } from "node:readline";
import { asEngineError } from "../src/errors.ts";
import { ModuleReflection } from "../src/reflection.ts";
import { minBindingSize } from "../src/wgsl/layout.ts";

function answer({ source, entry_point: name, constants: given }) {
  const module = new ModuleReflection(source);
  const { reflection } = module;
  const entry = module.entryPoint(name);
  const constants = module.constants(entry, given);
  if (!entry || module.missing(entry, constants).length > 0) return { reflection, entry_point: "", workgroup_size: [], constants, bindings: [] };
  const bindings = entry.bindings.map((index) => {
    const binding = reflection.bindings[index];
    return { ...binding, min_bytes: Math.ceil(minBindingSize(binding.type) / 4) * 4 };
  });
  return { reflection, entry_point: entry.name, workgroup_size: module.workgroupSize(entry, constants), constants, bindings };
}

for await (const line of createInterface({ input: process.stdin })) {
  let said;
  try {
    said = answer(JSON.parse(line));
  } catch (error) {
    const { code, message, details } = asEngineError(error);
    said = { error: { code, message, details } };
  }
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
