/// <reference types="vite/client" />
/** The package's own shaders, read by this parser and by another one. */
import { expect, test } from "vitest";
import { ArrayInfo, StructInfo, type VariableInfo, WgslReflect } from "wgsl_reflect";
import type { TypeInfo } from "../src/protocol.gen.js";
import { ModuleReflection } from "../src/reflection.js";
import { composedFromPaths } from "./composed.js";

const shaders = composedFromPaths(import.meta.glob<string>("../../webgpu_widget/shaders/**/*.wgsl", { query: "?raw", import: "default", eager: true }));

test("there are shaders to read", () => {
  expect(Object.keys(shaders).length).toBeGreaterThan(30);
});

test.each(Object.entries(shaders))("%s", (_, source) => {
  const mine = new ModuleReflection(source).reflection;
  expect(mine.entry_points.length).toBe(source.match(/@compute/g)?.length ?? 0);
  for (const entry of mine.entry_points) expect(entry.bindings.length, entry.name).toBeGreaterThan(0);
  let other: WgslReflect;
  try {
    other = new WgslReflect(source);
  } catch {
    return; // wgsl_reflect 1.6.0 does not know all syntax.
  }
  const variables = [...other.storage, ...other.uniforms, ...other.textures, ...other.samplers];
  expect(mine.bindings.map((binding) => `${binding.name} ${binding.group} ${binding.binding}`).sort()).toEqual(
    variables.map((found) => `${found.name} ${found.group} ${found.binding}`).sort(),
  );
  for (const binding of mine.bindings) {
    const found = variables.find((variable) => variable.name === binding.name);
    if (found) compare(binding.type, found.type, binding.name);
  }
});

/** Offsets, sizes and strides agree. */
function compare(mine: TypeInfo, other: VariableInfo["type"], path: string): void {
  if (mine.type === "struct" && other instanceof StructInfo) {
    expect(
      mine.members.map((member) => [member.name, member.offset]),
      path,
    ).toEqual(other.members.map((member) => [member.name, member.offset]));
    for (const [at, member] of mine.members.entries()) {
      const theirs = other.members[at];
      if (theirs) compare(member.type, theirs.type, `${path}.${member.name}`);
    }
  } else if (mine.type === "array" && other instanceof ArrayInfo) {
    expect([mine.count, mine.stride], path).toEqual([other.count, other.stride]);
    compare(mine.elem, other.format, `${path}[]`);
  } else if (mine.type !== "opaque") expect(mine.size, path).toBe(other.size);
}
