/** The parts of shader views that need no GPU: what is declared for a shader, how numbers are packed, how time goes. */
import { describe, expect, test } from "vitest";
import { EngineError } from "../src/errors.js";
import { ModuleReflection } from "../src/reflection.js";
import { Clock, nextCoarse, Rate } from "../src/views/shader/clock.js";
import { compose, type Inputs } from "../src/views/shader/compose.js";
import { colorOf, pack } from "../src/views/shader/pack.js";
import { excerpt, problemOf } from "../src/views/shader/problem.js";

const SPEED: Inputs = { speed: { kind: "uniform", type: "f32" }, x: { kind: "array", type: "array<f32>", buffer: 1, size_bytes: 8 } };

describe("compose", () => {
  test("declares behind the text what it uses and does not declare, so that lines keep their numbers", () => {
    const source = "// one\nfn image(p: vec2f, t: f32) -> vec4f {\n  return vec4f(p * speed, x[0], iMouse.x);\n}";
    const { code, form, entryPoint, animated } = compose(source, SPEED);
    expect(code.startsWith(`${source}\n`)).toBe(true);
    expect([form, animated]).toEqual(["function", true]);
    const names = new ModuleReflection(code).bindingsOf(entryPoint).map(({ name, group }) => [name, group]);
    expect(names.map(([name]) => name).sort()).toEqual(["iMouse", "iTime", "speed", "view_nan_pixels_", "view_scale_", "x"]);
    expect(new Set(names.map(([, group]) => group))).toEqual(new Set([0]));
  });

  test("leaves what the module declares, and takes slots that are free", () => {
    const source =
      "@group(2) @binding(0) var<uniform> speed: vec2f;\n@group(3) @binding(7) var<storage, read> x: array<f32>;\nfn image(iTime: vec2f) -> vec3f { return vec3f(iTime, x[0]) * speed.x; }";
    const { code, entryPoint, animated } = compose(source, SPEED);
    expect(animated).toBe(false);
    const found = new ModuleReflection(code).bindingsOf(entryPoint);
    expect(found.find(({ name }) => name === "speed")?.type.type).toBe("vector");
    expect(found.filter(({ name }) => name.startsWith("view_")).map(({ group, binding }) => [group, binding])).toEqual([
      [3, 8],
      [3, 9],
    ]);
  });

  test("a local of the same name is no use of the view's", () => {
    const { code } = compose("fn image(p: vec2f) -> vec3f { let speed = 2.0; return vec3f(speed); }", SPEED);
    expect(code).not.toContain("var<uniform> speed");
  });

  test.each([
    ["@fragment fn draw() -> @location(0) vec4f { return vec4f(fract(iTime)); }", "fragment", "draw", true],
    [
      "@group(0) @binding(0) var o: texture_storage_2d<rgba8unorm, write>;\n@compute @workgroup_size(8) fn draw() { textureStore(o, vec2u(0), vec4f(1)); }",
      "compute",
      "draw",
      false,
    ],
    ["fn mainImage(c: vec2f) -> vec4f { return vec4f(c, 0, 1); }", "function", "view_draw_", false],
  ])("knows the form of %s", (source, form, entryPoint, animated) => {
    expect(compose(source, {})).toMatchObject({ form, entryPoint, animated });
  });

  test("says what is there where nothing draws", () => {
    expect(() => compose("fn a() {} struct B { c: f32 }", {})).toThrow(/nothing to draw; it declares a\. A view draws/);
  });
});

describe("pack", () => {
  const type = (text: string, more = "") => {
    const { reflection } = new ModuleReflection(`${more}\n@group(0) @binding(0) var<uniform> u: ${text};`);
    const [binding] = reflection.bindings;
    if (!binding) throw new Error("no binding");
    return binding.type;
  };
  const floats = (bytes: Uint8Array): number[] => [...new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)];

  test("numbers, vectors, matrices by rows, and structs, by WGSL's layout", () => {
    expect(floats(pack(type("f32"), 1.5, "u")).slice(0, 1)).toEqual([1.5]);
    expect(new Int32Array(pack(type("i32"), -3, "u").buffer)[0]).toBe(-3);
    expect(new Uint32Array(pack(type("u32"), true, "u").buffer)[0]).toBe(1);
    expect(new Uint32Array(pack(type("u32"), 2 ** 32 - 1, "u").buffer)[0]).toBe(2 ** 32 - 1);
    expect(floats(pack(type("vec3f"), [1, 2, 3], "u"))).toEqual([1, 2, 3, 0]);
    // Three rows of two: two columns of three, each in sixteen bytes.
    const rows = [
      [1, 2],
      [3, 4],
      [5, 6],
    ];
    expect(floats(pack(type("mat2x3f"), rows, "u"))).toEqual([1, 3, 5, 0, 2, 4, 6, 0]);
    const struct = type("S", "struct S { a: f32, pad_: f32, b: vec2f, c: array<vec4f, 1> }");
    expect(floats(pack(struct, { a: 1, b: [2, 3], c: [[4, 5, 6, 7]] }, "u"))).toEqual([1, 0, 2, 3, 4, 5, 6, 7]);
  });

  test("colours as HTML writes them", () => {
    expect(colorOf("#f00")).toEqual([1, 0, 0, 1]);
    expect(colorOf("#00ff0080")).toEqual([0, 1, 0, 128 / 255]);
    expect(colorOf("red")).toBeUndefined();
    expect(floats(pack(type("vec3f"), "#ff0033", "u")).slice(0, 2)).toEqual([1, 0]);
  });

  test.each([
    ["i32", 1.5, /whole number from -2147483648/],
    ["u32", -1, /whole number from 0/],
    ["f32", 1e39, /beyond the largest f32/],
    ["f32", "wide", /finite number/],
    ["f32", Number.NaN, /finite number/],
    ["vec2f", [1, 2, 3], /a list of 2/],
    ["vec4f", "red", /a list of 4/],
  ])("refuses %s = %s", (text, value, said) => {
    expect(() => pack(type(text), value, "u")).toThrow(said);
  });
});

describe("clock", () => {
  test("goes on while it ticks, and stands still between a stop and the next tick", () => {
    const clock = new Clock();
    for (const now of [1000, 1010, 1030]) clock.tick(now);
    expect(clock.time).toBeCloseTo(0.03);
    clock.stop();
    clock.tick(9000);
    expect(clock.time).toBeCloseTo(0.03);
    clock.tick(9100);
    expect(clock.time).toBeCloseTo(0.13);
    clock.seek(-1);
    expect([clock.time, clock.frame]).toEqual([0, 0]);
  });

  test("counts the frames of the last second", () => {
    const rate = new Rate();
    expect(rate.perSecond).toBe(0);
    for (let now = 0; now <= 3000; now += 20) rate.tick(now);
    expect(rate.perSecond).toBeCloseTo(50);
  });

  test("finds a size at which a frame fits its budget, and stays there", () => {
    for (const msAtFullSize of [1, 50, 700, 9000]) {
      let coarse = 8;
      const seen: number[] = [];
      for (let step = 0; step < 12; step++) {
        coarse = nextCoarse(coarse, msAtFullSize / coarse ** 2, 70);
        seen.push(coarse);
      }
      expect(msAtFullSize / coarse ** 2).toBeLessThanOrEqual(105);
      expect(new Set(seen.slice(6)).size).toBe(1);
    }
  });
});

test("a problem is shown under its line", () => {
  const problem = problemOf(new EngineError("shader", "shader view: unresolved value 'a'", { line: 2, column: 11 }));
  expect(problem.message).toBe("unresolved value 'a'");
  expect(excerpt("fn f() {\n\treturn a;\n}", { ...problem, column: 9 })).toBe("1 │ fn f() {\n2 │ \treturn a;\n  │ \t       ^");
  expect(excerpt("one", { message: "", line: 0, column: 0 })).toBe("");
});
