/// <reference types="vite/client" />
/** WGSL that nobody would write. */
import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import { EngineError } from "../src/errors.js";
import { ModuleReflection } from "../src/reflection.js";
import { WgslSyntaxError } from "../src/wgsl/cursor.js";
import { NotConstantError } from "../src/wgsl/values.js";
import { composedFromPaths } from "./composed.js";
import { changed, options, say, tried } from "./fuzzing.js";

beforeEach(say);

const SHADERS = composedFromPaths(import.meta.glob<string>("../../webgpu_widget/shaders/**/*.wgsl", { query: "?raw", import: "default", eager: true }));
const REFUSED = [WgslSyntaxError, NotConstantError, EngineError] as const;
const TOKENS = [..."(){}[]<>;:,.@=+-*/!~&|^%\"'\\", "/*", "*/", "//", "<<", ">>", "&&", "->", "0x", "1e999", "1u", "vec3", "array<", "struct A { a: A }"];
const WORDS = [
  "const c = c + c;",
  "alias T = T;",
  "override o = o;",
  "@id(0)",
  "@binding",
  "@workgroup_size(",
  "constructor",
  "__proto__",
  "\0",
  "\u2028",
  "é",
];

function reflect(source: string): void {
  const module = new ModuleReflection(source);
  for (const entry of module.reflection.entry_points) module.workgroupSize(entry, module.constants(entry, {}));
}

describe("WGSL", () => {
  it("is reflected, or refused", () => {
    const sources = Object.values(SHADERS).map((text) => text.slice(0, 6000));
    expect(sources.length).toBeGreaterThan(20);
    fc.assert(
      fc.property(
        fc.oneof(
          changed(sources, [...TOKENS, ...WORDS]),
          fc.array(fc.constantFrom(...TOKENS, ...WORDS), { maxLength: 60 }).map((parts) => parts.join(" ")),
        ),
        (source) => {
          tried(() => reflect(source), ...REFUSED);
        },
      ),
      options,
    );
  });

  const deep = (open: string, close: string, count = 20_000): string => open.repeat(count) + close.repeat(count);
  it.each([
    ["parentheses in a constant", `const a = ${deep("(", ")")};`],
    ["signs", `@workgroup_size(${"-".repeat(20_000)}1) @compute fn main() {}`],
    ["types", `alias T = ${deep("array<", ">")};`],
    ["blocks", `fn main() ${deep("{", "}")}`],
    ["blocks that are never closed", `fn main() ${"{(".repeat(20_000)}`],
    ["comments", `${"/*".repeat(20_000)} fn main() {}`],
    ["a struct of itself", "struct A { b: B } struct B { a: A } @group(0) @binding(0) var<storage> a: A;"],
    ["an alias of itself", "alias A = B; alias B = A; @group(0) @binding(0) var<storage> a: A; override o: A = 1;"],
    ["a texture of itself", "alias A = B; alias B = A; @group(0) @binding(0) var a: texture_2d<A>;"],
    ["a constant of itself", "const a = b; const b = a + 1; @workgroup_size(a) @compute fn main() {}"],
    ["an override of itself", "override a = b; override b = a;"],
    ["overrides in a circle with types", "override a = b * 2; override b: T = a; alias T = T;"],
  ])("may be nested or circular: %s", (_, source) => {
    tried(() => reflect(source), ...REFUSED);
  });

  const doubled = (kind: string, count = 60): string => Array.from({ length: count }, (_, i) => `${kind} c${i + 1} = c${i} - c${i} + c${i};`).join("");
  it.each(["const", "override"])("has each %s evaluated once, however often others use it", (kind) => {
    const source = `${kind} c0 = 2u; ${doubled(kind)} @compute @workgroup_size(c60) fn main() { _ = v; } @group(0) @binding(0) var<storage> v: array<f32, c0>;`;
    const module = tried(() => new ModuleReflection(source), ...(kind === "const" ? [] : REFUSED));
    if (kind === "const") expect(module?.workgroupSize(module.reflection.entry_points[0] as never, {})).toEqual([2, 1, 1]);
    const types = tried(() => new ModuleReflection(`override c0 = 2u; ${doubled("override")}`).reflection.overrides.map(({ type }) => type));
    expect(new Set(types)).toEqual(new Set(["u32"]));
  });

  it.each(["constructor", "toString", "valueOf", "hasOwnProperty", "isPrototypeOf"])("may use the name %s, which JavaScript's objects have", (name) => {
    const source = `
      override ${name} = 2u;
      struct S { ${name}: f32, other: f32 }
      @group(0) @binding(0) var<storage, read_write> v: S;
      @compute @workgroup_size(${name}) fn main() { let x = ${name}; v.${name} = f32(x); }
      @compute @workgroup_size(1) fn after() { }`;
    const module = new ModuleReflection(source);
    const [entry] = module.reflection.entry_points;
    if (!entry) throw new Error("no entry point");
    expect(module.reflection.entry_points.map((found) => found.name)).toEqual(["main", "after"]);
    expect(module.workgroupSize(entry, {})).toEqual([2, 1, 1]);
    expect(module.constants(entry, { [name]: 8 })).toEqual({ [name]: 8 });
    expect(module.missing(entry, {})).toEqual([]);
    const undefaulted = new ModuleReflection(source.replace("= 2u", ": u32"));
    const [bare] = undefaulted.reflection.entry_points;
    if (!bare) throw new Error("no entry point");
    expect(undefaulted.missing(bare, {})).toEqual([name]);
    expect(() => reflect(`@group(0) @binding(0) var<storage> v: ${name};`)).toThrow(NotConstantError);
    expect(() => reflect(`@compute @workgroup_size(${name}(2)) fn main() {}`)).toThrow(NotConstantError);
  });
});
