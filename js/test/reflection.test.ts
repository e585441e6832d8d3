import { describe, expect, test } from "vitest";
import type { BindingInfo, StructType, TypeInfo } from "../src/protocol.gen.js";
import { ModuleReflection } from "../src/reflection.js";
import { minBindingSize } from "../src/wgsl/layout.js";

const ENTRY = "@compute @workgroup_size(1) fn main() { _ = &v; }";

function typeOf(type: string, declarations = "", space = "storage, read_write"): TypeInfo {
  const { reflection } = new ModuleReflection(`${declarations}\n@group(0) @binding(0) var<${space}> v: ${type};\n${ENTRY}`);
  const [binding] = reflection.bindings;
  if (!binding) throw new Error("no binding");
  return binding.type;
}

const fields = (type: TypeInfo): string =>
  type.type === "struct" ? `${type.members.map((member) => `${member.name}@${member.offset}`).join(" ")} size ${type.size} align ${type.align}` : type.type;

describe("sizes and alignments", () => {
  test.each<[string, number, number]>([
    ["f32", 4, 4],
    ["f16", 2, 2],
    ["vec2f", 8, 8],
    ["vec3f", 12, 16],
    ["vec4<u32>", 16, 16],
    ["vec3h", 6, 8],
    ["vec2<f16>", 4, 4],
    ["mat2x2f", 16, 8],
    ["mat2x3f", 32, 16],
    ["mat3x2<f32>", 24, 8],
    ["mat3x3f", 48, 16],
    ["mat4x3f", 64, 16],
    ["mat4x4<f32>", 64, 16],
    ["mat3x3h", 24, 8],
    ["mat2x4<f16>", 16, 8],
    ["atomic<u32>", 4, 4],
    ["array<f32, 3>", 12, 4],
    ["array<vec3f, 3>", 48, 16],
    ["array<mat3x3f, 2>", 96, 16],
    ["array<array<vec2f, 3>, 2>", 48, 8],
    ["array<f16, 3>", 6, 2],
  ])("%s", (name, size, align) => {
    expect(typeOf(name)).toMatchObject({ size, align });
  });

  test("a runtime-sized array has a stride and no count", () => {
    expect(typeOf("array<vec3<f32>>")).toMatchObject({ type: "array", count: 0, stride: 16, size: 0 });
    expect(typeOf("array<atomic<i32>>")).toMatchObject({ stride: 4, elem: { name: "i32", atomic: true } });
  });
});

describe("structs", () => {
  test.each<[string, string, string]>([
    ["vec3 then a scalar fills its padding", "struct S { a: vec3f, b: f32 }", "a@0 b@12 size 16 align 16"],
    ["a scalar then vec3", "struct S { a: f32, b: vec3f, }", "a@0 b@16 size 32 align 16"],
    ["mat3x3 keeps its padded columns", "struct S { a: mat3x3f, b: f32 }", "a@0 b@48 size 64 align 16"],
    ["nested structs are padded to their alignment", "struct In { a: vec3f } struct S { a: f32, b: In, c: f32 }", "a@0 b@16 c@32 size 48 align 16"],
    ["@size and @align", "struct S { @size(16) a: f32, @align(32) b: f32, c: u32 }", "a@0 b@32 c@36 size 64 align 32"],
    ["@size by a constant", "const N = 4; struct S { @size(N * 8) a: f32, b: f32 }", "a@0 b@32 size 36 align 4"],
    ["a runtime tail", "struct S { n: u32, p: array<vec2f> }", "n@0 p@8 size 8 align 8"],
    ["a runtime tail of vec3", "struct S { n: u32, m: u32, p: array<vec3f> }", "n@0 m@4 p@16 size 16 align 16"],
    ["f16", "enable f16; struct S { a: f16, b: vec3h, c: f16, d: f32 }", "a@0 b@8 c@14 d@16 size 24 align 8"],
    ["arrays", "struct S { a: array<f32, 3>, b: array<vec3f, 2>, c: f32 }", "a@0 b@16 c@48 size 64 align 16"],
    ["aliases", "alias Real = f32; alias V = vec3<Real>; struct S { a: Real, b: V, c: array<V, 2> }", "a@0 b@16 c@32 size 64 align 16"],
    ["atomics", "struct S { a: atomic<u32>, b: array<atomic<i32>, 4> }", "a@0 b@4 size 20 align 4"],
  ])("%s", (_, declarations, expected) => {
    expect(fields(typeOf("S", declarations))).toBe(expected);
  });

  test("least bytes of a binding", () => {
    expect(minBindingSize(typeOf("array<vec3f>"))).toBe(16);
    expect(minBindingSize(typeOf("S", "struct S { n: u32, p: array<vec2f> }"))).toBe(16);
    expect(minBindingSize(typeOf("S", "struct S { a: vec3f, b: f32 }"))).toBe(16);
    expect(minBindingSize(typeOf("array<f32, 5>"))).toBe(20);
  });

  test("array counts by constant expressions", () => {
    const declarations = "const A = 3u; const B: u32 = (A << 2u) + 0x10; override UNUSED: u32 = 2;";
    expect(typeOf("array<u32, B>", declarations)).toMatchObject({ count: 28 });
    expect(typeOf("array<u32, (B >> 1u)>", declarations)).toMatchObject({ count: 14 });
    expect(typeOf("array<u32, select(1, B / 3u, A >= 3u)>", declarations)).toMatchObject({ count: 9 });
    expect(typeOf("array<array<vec4<f32>, A>, B>", declarations)).toMatchObject({ count: 28, stride: 48 });
    expect(typeOf("array<u32, max(A, 7) % 4>", declarations)).toMatchObject({ count: 3 });
  });
});

const MANY = `
// a comment with @group(9) @binding(9) var<storage> ghost: array<f32>;
/* and /* a nested */ one */
enable f16;
requires readonly_and_readwrite_storage_textures;
diagnostic(off, derivative_uniformity);
const_assert 1 < 2;
struct Params { n: u32, pad: vec3<u32> }
@group(0) @binding(0) var<storage> a: array<f32>;
@binding(1) @group(0) var<storage, read_write> b: array<f32>;
@group(0) @binding(1) var<storage, read> other: array<u32>;
@group(1) @binding(0) var<uniform> params: Params;
@group(2) @binding(0) var t: texture_2d<f32>;
@group(2) @binding(1) var s: sampler;
@group(2) @binding(2) var o: texture_storage_2d<rgba8unorm, write>;
@group(2) @binding(3) var io: texture_storage_2d<r32float, read_write>;
@group(2) @binding(4) var layers: texture_2d_array<u32>;
override TILE: u32 = 8u;
@id(7) override SCALE: f32;
override HALF = TILE / 2;
override FLAG = true;
override UNUSED = 1.5;
var<workgroup> tile: array<f32, TILE * 2>;
var<private> counter = 0u;
fn helper(p: ptr<function, f32>) -> f32 { return *p * SCALE + a[0]; }
fn deep() -> f32 { var x = 1f; return helper(&x); }
@compute @workgroup_size(TILE, HALF) fn first(@builtin(global_invocation_id) id: vec3u) {
  b[id.x] = deep() + f32(params.n) + tile[0];
  if (FLAG) { counter += 1u; }
}
@compute @workgroup_size(64) fn second(@builtin(local_invocation_index) a: u32) {
  let b = other[a];
  for (var t = 0u; t < b; t++) { counter += t; }
}
@must_use @workgroup_size(4, 1, 1) @compute fn third() {
  textureStore(o, vec2u(0), textureSampleLevel(t, s, vec2f(0), 0.0));
  textureStore(io, vec2u(0), textureLoad(io, vec2u(0)));
  _ = textureLoad(layers, vec2u(0), 0, 0);
}
@fragment fn picture() -> @location(0) vec4f { return vec4f(a[0]); }
`;

describe("modules", () => {
  const module = new ModuleReflection(MANY);
  const { reflection } = module;
  const names = (indices: readonly number[]): string[] => indices.map((index) => reflection.bindings[index]?.name ?? "?");
  const entry = (name: string) => {
    const found = module.entryPoint(name);
    if (!found) throw new Error(name);
    return found;
  };

  test("entry points have the bindings that they use, also through functions", () => {
    expect(reflection.entry_points.map((found) => [found.name, names(found.bindings)])).toEqual([
      ["first", ["a", "b", "params"]],
      ["second", ["other"]],
      ["third", ["t", "s", "o", "io", "layers"]],
    ]);
  });

  test("and the overrides, also through types and other overrides", () => {
    expect(reflection.entry_points.map((found) => found.overrides)).toEqual([["TILE", "SCALE", "HALF", "FLAG"], [], []]);
    expect(reflection.overrides).toEqual([
      { name: "TILE", id: null, type: "u32", has_default: true },
      { name: "SCALE", id: 7, type: "f32", has_default: false },
      { name: "HALF", id: null, type: "u32", has_default: true },
      { name: "FLAG", id: null, type: "bool", has_default: true },
      { name: "UNUSED", id: null, type: "f32", has_default: true },
    ]);
  });

  test("kinds and access", () => {
    const told = (binding: BindingInfo): string => `${binding.name} ${binding.group}.${binding.binding} ${binding.kind} ${binding.access}`;
    expect(reflection.bindings.map(told)).toEqual([
      "a 0.0 storage read",
      "b 0.1 storage read_write",
      "other 0.1 storage read",
      "params 1.0 uniform read",
      "t 2.0 texture read",
      "s 2.1 sampler read",
      "o 2.2 storage-texture write",
      "io 2.3 storage-texture read_write",
      "layers 2.4 texture read",
    ]);
    expect(reflection.bindings[6]?.type).toMatchObject({ type: "opaque", name: "texture_storage_2d<rgba8unorm, write>", format: "rgba8unorm" });
    expect(reflection.bindings[8]?.type).toMatchObject({ name: "texture_2d_array<u32>", format: null });
  });

  test("workgroup sizes follow the constants", () => {
    expect(entry("first").workgroup_size).toEqual(["TILE", "HALF", "1"]);
    expect(module.workgroupSize(entry("first"), {})).toEqual([8, 4, 1]);
    expect(module.workgroupSize(entry("first"), { TILE: 16 })).toEqual([16, 8, 1]);
    expect(module.workgroupSize(entry("first"), { TILE: 16, HALF: 3 })).toEqual([16, 3, 1]);
    expect(module.workgroupSize(entry("third"), {})).toEqual([4, 1, 1]);
  });

  test("constants by name or @id; those not used are dropped, those not declared refused", () => {
    expect(module.constants(entry("first"), { SCALE: 2, TILE: 4, UNUSED: 1 })).toEqual({ 7: 2, TILE: 4 });
    expect(module.constants(entry("first"), { 7: 3 })).toEqual({ 7: 3 });
    expect(module.constants(entry("second"), { TILE: 4 })).toEqual({});
    expect(() => module.constants(entry("first"), { TIEL: 4 })).toThrow(/no override TIEL; it declares: TILE, SCALE, HALF, FLAG, UNUSED/);
    expect(module.missing(entry("first"), {})).toEqual(["SCALE"]);
    expect(module.missing(entry("first"), { 7: 1 })).toEqual([]);
  });

  test("entry points by name", () => {
    expect(module.entryPoint(null)).toBeUndefined();
    expect(() => module.entryPoint("forth")).toThrow(/no entry point forth; it has: first, second, third/);
    expect(() => new ModuleReflection("fn f() {}").entryPoint(null)).toThrow(/no @compute entry point/);
  });

  test("structs that Python can pack", () => {
    expect(reflection.structs.map((found: StructType) => found.name)).toEqual(["Params"]);
  });
});

test("bodies may have syntax from the future", () => {
  const { reflection } = new ModuleReflection(`
enable chromium_experimental_subgroup_matrix;
@group(0) @binding(0) var<storage, read> a: array<f16>;
@group(0) @binding(1) var<storage, read_write> c: array<f32>;
@compute @workgroup_size(32) fn main() {
  var left = subgroupMatrixLoad<subgroup_matrix_left<f16, 16, 16>>(&a, 0, false, 16);
  loop { match (left) { case 1 => { break; } } }
  subgroupMatrixStore(&c, 0, subgroup_matrix_result<f32, 16, 16>(), false, 16);
}`);
  expect(reflection.entry_points[0]?.bindings).toEqual([0, 1]);
});

test("names hide the module's in their own block only", () => {
  const uses = (body: string): number[] => [
    ...(new ModuleReflection(`@group(0) @binding(0) var<storage, read_write> v: array<f32>;\n@compute @workgroup_size(1) fn main() { ${body} }`).reflection
      .entry_points[0]?.bindings ?? []),
  ];
  expect(uses("let v = 1; _ = v;")).toEqual([]);
  expect(uses("{ let v = 1; _ = v; } v[0] = 1;")).toEqual([0]);
  expect(uses("let v = v[0];")).toEqual([0]);
  expect(uses("let x = p.v;")).toEqual([]);
  expect(uses("var<function> v: f32 = 1; v += 1;")).toEqual([]);
});

test.each(["texture_external", "texel_buffer<rgba8unorm, read_write>"])("a %s hinders no entry point that does not use it", (name) => {
  const { entry_points: entries, bindings } = new ModuleReflection(`@group(0) @binding(0) var movie: ${name}; @compute @workgroup_size(1) fn main() {}`)
    .reflection;
  expect(bindings).toMatchObject([{ name: "movie", kind: "texture", type: { name } }]);
  expect(entries[0]?.bindings).toEqual([]);
});

describe("names that mean something else than the module's", () => {
  const used = (declarations: string, body: string, parameters = ""): string[] => {
    const source = `${declarations}\n@group(0) @binding(0) var<storage, read_write> n: array<u32>;\n@group(0) @binding(1) var<storage, read> y: array<u32>;
@compute @workgroup_size(1) fn main(${parameters}) { ${body} }\n@compute @workgroup_size(1) fn other() { n[0] = y[0]; }`;
    const { reflection } = new ModuleReflection(source);
    return (reflection.entry_points[0]?.bindings ?? []).map((index) => reflection.bindings[index]?.name ?? "");
  };
  test.each<[string, string, string, string, string[]]>([
    ["a loop's variable ends with the loop", "", "for (var n = 0u; n < 4u; n++) { _ = n; } n[0] = 1u;", "", ["n"]],
    ["and hides inside of it", "", "for (var n = 0u; n < 4u; n++) { _ = n + y[n]; }", "", ["y"]],
    ["also in a nested block", "", "for (var n = 0u; n < 4u; n++) { if (n > 2u) { _ = n; } else { n++; } }", "", []],
    ["a loop without a variable hides nothing", "", "for (; n[0] < 4u;) { n[0]++; }", "", ["n"]],
    ["a loop in a loop", "", "for (var i = 0u; i < 4u; i++) { for (var n = 0u; n < i; n++) { _ = n; } _ = n[i]; }", "", ["n"]],
    ["a loop's body with an attribute", "", "for (var n = 0u; n < 4u; n++) @diagnostic(off, y) { _ = n; } _ = y[0];", "", ["y"]],
    ["the header's own initial value", "", "for (var n = n[0]; n < 4u; n++) { _ = n; }", "", ["n"]],
    ["a block's variable ends with the block", "", "{ let n = 3u; _ = n; } n[0] = 1u;", "", ["n"]],
    ["an if's", "", "if (true) { var n = 3u; _ = n; } else { _ = y[0]; }", "", ["y"]],
    ["a let from the variable that it hides", "", "let n = n[0]; _ = n;", "", ["n"]],
    ["a variable with an address space", "", "var<function> n = 1u; _ = n;", "", []],
    ["a switch", "", "switch (y[0]) { case 0u: { let n = 1u; _ = n; } default: { } }", "", ["y"]],
    [
      "a while and a loop",
      "",
      "while (true) { let n = 1u; if (n > 0u) { break; } } loop { let y = 1u; if (y > 0u) { break; } continuing { _ = y; } } _ = y[0];",
      "",
      ["y"],
    ],
    ["a member of a struct", "struct S { n: u32, y: vec2f }", "var s: S; s.n = 1u; s.y.x = 2.0;", "", []],
    ["a member's type and size", "const SIZE = 8; struct S { @size(SIZE) n: u32 }", "var s: S; s.n = 1u;", "", []],
    ["a member by an expression", "struct S { n: u32 }", "let s = S(y[0]); _ = s . n;", "", ["y"]],
    ["a parameter", "fn f(n: u32, y: u32) -> u32 { return n + y; }", "_ = f(1u, 2u);", "", []],
    ["a parameter of a builtin", "", "_ = n;", "@builtin(local_invocation_index) n: u32", []],
  ])("%s", (_, declarations, body, parameters, expected) => {
    expect(used(declarations, body, parameters)).toEqual(expected);
  });

  test("a builtin's name", () => {
    const { reflection } = new ModuleReflection(`
@group(0) @binding(0) var<storage, read_write> local_invocation_index: array<u32>;
@group(0) @binding(1) var<storage, read_write> position: array<u32>;
struct V { @builtin(position) position: vec4f, @location(0) @interpolate(flat, either) flat: u32 }
@compute @workgroup_size(1) fn main(@builtin(local_invocation_index) i: u32) { var v: V; v.position = vec4f(f32(i)); }
@compute @workgroup_size(1) fn other() { local_invocation_index[0] = position[0]; }`);
    expect(reflection.entry_points.map((entry) => entry.bindings)).toEqual([[], [0, 1]]);
  });
});

describe("values of overrides", () => {
  const module = new ModuleReflection(`
enable f16;
alias Real = f32;
const THREE = 3;
override A: u32; override B = 2; override C: Real = 1; override D = true; override E: f16; override F = 2u * THREE; override G = C * 2; override H = THREE * 1.5;
override I = F > 2u; override J = select(1.0, 2.0, F > 2u); override K = -(B + 1); override L = 1u << 3u; override M = 16u >> 2u; override N = u32(C > 1.0);
override O = abs(-THREE); override P = bitcast<u32>(1.0f); override Q = vec2<f32>(1.0, 2.0).x; override R = 0x1F; override S = 0x1u;
@compute @workgroup_size(1) fn main() {}`);
  test("types, declared and not", () => {
    const types = Object.fromEntries(module.reflection.overrides.map(({ name, type }) => [name, type]));
    expect(types).toEqual({
      ...{ A: "u32", B: "i32", C: "f32", D: "bool", E: "f16", F: "u32", G: "f32", H: "f32", I: "bool", J: "f32" },
      ...{ K: "i32", L: "u32", M: "u32", N: "u32", O: "i32", P: "u32", Q: "f32", R: "i32", S: "u32" },
    });
  });
  test.each<[string, number]>([
    ["A", 1.7],
    ["A", -1],
    ["A", 2 ** 32],
    ["A", Number.NaN],
    ["B", 0.5],
    ["B", 2 ** 31],
    ["B", -(2 ** 31) - 1],
    ["C", 3.5e38],
    ["C", Number.POSITIVE_INFINITY],
    ["D", 0.5],
    ["D", 2],
    ["E", 65520],
    ["F", 1.5],
    ["G", -1e39],
    ["I", 3],
    ["K", 1e10],
  ])("%s cannot be %d", (name, value) => {
    const entry = module.entryPoint(null);
    expect(() => module.constants(entry, { [name]: value })).toThrow(new RegExp(`override ${name} is .*${String(value).replace("+", "\\+")}.*takes`));
  });
  test.each<[string, number]>([
    ["A", 2 ** 32 - 1],
    ["B", -(2 ** 31)],
    ["C", 3.4028234663852886e38],
    ["C", 1e-50],
    ["D", 1],
    ["D", 0],
    ["E", 65504],
    ["H", 0.1],
  ])("%s can be %d", (name, value) => {
    expect(() => module.constants(module.entryPoint(null), { [name]: value })).not.toThrow();
  });
});

describe("what has no slot, and bytes", () => {
  test("immediate data belongs to the entry points that use it", () => {
    const { reflection } = new ModuleReflection(
      "struct S { a: vec3f, b: u32 } var<immediate> k: S; @compute @workgroup_size(1) fn main() { _ = k.b; } @compute @workgroup_size(1) fn other() {}",
    );
    expect(reflection.bindings).toMatchObject([{ name: "k", kind: "immediate", group: -1, binding: -1, access: "read", type: { size: 16 } }]);
    expect(reflection.entry_points.map((entry) => entry.bindings)).toEqual([[0], []]);
  });
  test.each<[string, number, number]>([
    ["buffer", 0, 0],
    ["buffer<32>", 8, 32],
    ["buffer<N * 4>", 3, 12],
  ])("%s is words", (type, count, least) => {
    const info = typeOf(type, "const N = 3u;");
    expect(info).toMatchObject({ type: "array", count, stride: 4, elem: { name: "u32" } });
    expect(minBindingSize(info)).toBe(least);
  });
});
