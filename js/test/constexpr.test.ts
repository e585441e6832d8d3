/** Const-expressions: every value here is one that Tint asserts too (`const_assert` in Dawn, npm webgpu 0.6.2). */
import { describe, expect, test } from "vitest";
import { ModuleReflection } from "../src/reflection.js";

/** The count of an array whose size is that expression. */
function count(expression: string, declarations = ""): number {
  const { reflection } = new ModuleReflection(`${declarations}
@group(0) @binding(0) var<storage, read_write> result: array<f32, ${expression}>;
@compute @workgroup_size(1) fn main() { result[0] = 1; }`);
  const type = reflection.bindings[0]?.type;
  if (type?.type !== "array") throw new Error("no array");
  return type.count;
}

describe("numbers", () => {
  test.each<[string, number, string?]>([
    ["u32(ceil(SIZE / 10))", 7, "const SIZE = 64.0;"],
    ["(A ^ 3) + 12", 8, "const A = -1;"],
    ["(~0u >> 28u)", 15],
    ["u32(0x10p-1f)", 8],
    ["u32(0x1.8p3)", 12],
    ["(7 / 2)", 3],
    ["u32(7 / 2.0 + 0.5)", 4],
    ["u32(N / 2)", 3, "const N: f32 = 7;"],
    ["(-7 / 2 + 10)", 7],
    ["u32(-7 % 4 + 10)", 7],
    ["u32(round(2.5)) + u32(round(3.5))", 6],
    ["(0x7fffffffi * 2i + 5i)", 3],
    ["(4294967295u + 9u)", 8],
    ["u32(i32(2.9) + i32(-2.9) + 5)", 5],
    ["u32(1e3)", 1000],
    ["(1u << 3u)", 8],
    ["select(3, 5, 1 < 2 && !(3 <= 2))", 5],
    ["(N >> 1u)", 5, "const N = 11u;"],
    ["u32(A == 4 && 1 / A == 0)", 1, "const A = 4;"],
    ["select(1, 2, A == 0 || 8 / A > 1)", 2, "const A = 0;"],
    ["u32(bitcast<i32>(0xfffffff0u) + 20)", 4],
    ["(bitcast<u32>(1.0f) >> 23u)", 127],
  ])("%s is %d", (expression, value, declarations) => {
    expect(count(expression, declarations)).toBe(value);
  });
});

describe("composites", () => {
  test.each<[string, number, string?]>([
    ["v.x", 4, "const v = vec3(4, 2, 3);"],
    ["v[0] * v.zy[1]", 8, "const v = vec3<u32>(4, 2, 3);"],
    ["(v + 1).b", 4, "const v = vec3(4, 2, 3);"],
    ["u32(dot(v, v))", 29, "const v = vec3(4.0, 2, 3);"],
    ["dot(vec2u(3), vec2u(2, 1))", 9],
    ["sizes[1][1]", 9, "const sizes = array(vec2u(1, 2), vec2u(8, 9));"],
    ["sizes[2]", 6, "const sizes = array<u32, 3>(2, 4, 6);"],
    ["tile.size.y * tile.layers", 24, "struct Tile { size: vec2u, layers: u32 } const tile = Tile(vec2u(4, 8), 3);"],
    ["(Tile().layers + 2)", 2, "struct Tile { size: vec2u, layers: u32 }"],
    ["u32(m[1].x)", 3, "const m = mat2x2f(1, 2, 3, 4);"],
    ["u32((m * vec2f(1, 1)).y)", 6, "const m = mat2x2f(1, 2, 3, 4);"],
    ["u32(determinant(mat3x3f(2, 0, 0, 0, 3, 0, 0, 0, 4)))", 24],
    ["u32(length(vec2f(3, 4)))", 5],
    ["u32(all(vec2(1, 2) < vec2(3)))", 1],
    ["max(v.x, vec3u(vec2u(7), 1).y)", 7, "alias V = vec3u; const v = V(4, 2, 3);"],
    ["u32(frexp(20.0).exp + modf(2.5).whole)", 7],
    ["u32(modf(2.75).fract * 4)", 3],
  ])("%s is %d", (expression, value, declarations) => {
    expect(count(expression, declarations)).toBe(value);
  });
});

describe("functions of bits", () => {
  test.each<[string, number]>([
    ["countOneBits(0xffu)", 8],
    ["countLeadingZeros(1u << 3u)", 28],
    ["countTrailingZeros(8u)", 3],
    ["firstLeadingBit(0x1000u)", 12],
    ["u32(firstLeadingBit(-2i) + 1)", 1],
    ["(reverseBits(1u) >> 28u)", 8],
    ["extractBits(0xabcdu, 4u, 4u)", 12],
    ["u32(extractBits(0xf0i, 4u, 4u) + 2)", 1],
    ["insertBits(0u, 5u, 1u, 3u)", 10],
    ["(pack4x8unorm(vec4f(1, 0, 0, 0)) >> 3u)", 31],
    ["pack4xU8(vec4u(9, 0, 0, 0))", 9],
    ["unpack4xU8(0x0500u).y", 5],
    ["dot4U8Packed(0x0102u, 0x0304u)", 11],
    ["(pack2x16float(vec2f(1, 0)) >> 10u)", 15],
    ["u32(unpack2x16float(0x4900u).x)", 10],
  ])("%s is %d", (expression, value) => {
    expect(count(expression)).toBe(value);
  });
});

describe("template lists", () => {
  test.each<[string, number, string?]>([
    ["select(4, 8, A < B)", 8, "const A = 1; const B = 2;"],
    ["(A + vec3<u32>(4, 2, 3).x)", 5, "const A = 1u;"],
    ["vec3<u32>(4, 2, 3).x", 4],
    ["array<vec2<u32>, 2>(vec2<u32>(1, 2), vec2<u32>(3, 6))[1].y", 6],
    ["select(1, 2, (A > B) == (B < A))", 2, "const A = 1; const B = 2;"],
    ["select(1, 2, 5 >= A)", 2, "const A = 5;"],
  ])("%s is %d", (expression, value, declarations) => {
    expect(count(expression, declarations)).toBe(value);
  });
});

test("workgroup sizes of a vector's parts", () => {
  const module = new ModuleReflection("const size = vec2(8, 4); @compute @workgroup_size(size.x, size.y * 2) fn main() {}");
  const [entry] = module.reflection.entry_points;
  if (!entry) throw new Error("no entry point");
  expect(module.workgroupSize(entry, {})).toEqual([8, 8, 1]);
});

describe("overrides", () => {
  test("an @id by a constant", () => {
    const module = new ModuleReflection("const ID = 7; @id(ID) override scale: u32; @compute @workgroup_size(scale) fn main() {}");
    expect(module.reflection.overrides).toEqual([{ name: "scale", id: 7, type: "u32", has_default: false }]);
    const [entry] = module.reflection.entry_points;
    if (!entry) throw new Error("no entry point");
    expect(module.constants(entry, { scale: 4 })).toEqual({ "7": 4 });
    expect(module.constants(entry, { "7": 4 })).toEqual({ "7": 4 });
    expect(module.workgroupSize(entry, { "7": 4 })).toEqual([4, 1, 1]);
  });

  test.each<[string, string]>([
    ["override x = 2;", "i32"],
    ["override x = 2.5;", "f32"],
    ["override x = 2u;", "u32"],
    ["override x = 0x1p3f;", "f32"],
    ["override y: u32; override x = y * 2;", "u32"],
    ["override y: u32; override x = 8 / (y - 1u);", "u32"],
    ["override x = vec2u(1, 2).y;", "u32"],
    ["override x = 1 < 2;", "bool"],
    ["override x = bitcast<f32>(7u);", "f32"],
    ["alias Real = f32; override x: Real = 2;", "f32"],
    ["override x = firstLeadingBit(8);", "i32"],
    ["override x = 1 + ceil(2);", "f32"],
  ])("the type of x in %s is %s", (declarations, type) => {
    const { overrides } = new ModuleReflection(`${declarations} @compute @workgroup_size(1) fn main() { _ = x; }`).reflection;
    expect(overrides.find((override) => override.name === "x")?.type).toBe(type);
  });

  test("a size computed from a given override rounds as its type does", () => {
    const module = new ModuleReflection("override n: u32; @compute @workgroup_size((n + 3) / 4) fn main() {}");
    const [entry] = module.reflection.entry_points;
    if (!entry) throw new Error("no entry point");
    expect(module.workgroupSize(entry, { n: 10 })).toEqual([3, 1, 1]);
  });
});
