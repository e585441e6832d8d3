import type { TypeInfo } from "../../src/protocol.gen.js";
import { ModuleReflection } from "../../src/reflection.js";
import { equal, failure, ok, test } from "./harness.js";
import { FakePython } from "./python.js";
import { SQUARE, square } from "./square.js";

const STEP = `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> add: f32;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&x)) { y[id.x] = x[id.x] * 0.5 + add; }
}`;

test("a program is replayed", async () => {
  const python = new FakePython();
  const { pipeline } = python.kernel(STEP);
  const a = python.array(Float32Array.of(8, 16));
  const b = python.buffer(8);
  const program = python.handle();
  const add = python.data(Float32Array.of(1));
  const step = (x: number, y: number) => ({
    op: "dispatch" as const,
    pipeline,
    workgroups: [1, 1, 1],
    args: [
      { group: 0, binding: 0, buffer: x },
      { group: 0, binding: 1, buffer: y },
      { group: 1, binding: 0, uniform: add },
    ],
  });
  const commands = [step(a, b), { op: "copy-buffer" as const, source: b, source_offset: 0, target: a, target_offset: 0, size_bytes: 8 }];
  python.tell({ op: "create-program", program, commands });
  python.tell({ op: "run-program", program, times: 1000 });
  equal(await python.floats(a), [2, 2]);
  python.tell({ op: "write-buffer", buffer: a, offset: 0, data: python.data(Float32Array.of(8, 16)) });
  python.tell({ op: "run-program", program, times: 2 });
  equal(await python.floats(a), [3.5, 5.5]);
  python.tell({ op: "free-program", program });
  python.tell({ op: "run-program", program, times: 1 });
  equal((await failure(python.read(a))).code, "unknown-handle");
  python.runtime.destroy();
});

test("a program with writes and clears, and one that cannot be", async () => {
  const python = new FakePython();
  const a = python.array(Float32Array.of(1, 2, 3, 4));
  const [program, bad] = [python.handle(), python.handle()];
  const data = python.data(Float32Array.of(9));
  python.tell({
    op: "create-program",
    program,
    commands: [
      { op: "clear-buffer", buffer: a, offset: 0, size_bytes: 8 },
      { op: "write-buffer", buffer: a, offset: 12, data },
    ],
  });
  equal(await python.floats(a), [1, 2, 3, 4], "nothing runs yet");
  python.tell({ op: "run-program", program, times: 1 });
  equal(await python.floats(a), [0, 0, 3, 9]);
  python.tell({ op: "create-program", program: bad, commands: [{ op: "free-buffer", buffer: a }] });
  ok((await failure(python.read(a))).message.includes("free-buffer"), "named");
  python.runtime.destroy();
});

test("a profile has a row for each kernel", async () => {
  const python = new FakePython();
  const one = python.kernel(SQUARE, {}, "one");
  const two = python.kernel(SQUARE, {}, "two");
  const x = python.array(new Float32Array(1 << 16).fill(2));
  const y = python.buffer(4 << 16);
  square(python, one.pipeline, x, y, 1 << 16);
  python.tell({ op: "profile-start" });
  for (let i = 0; i < 5; i++) square(python, one.pipeline, x, y, 1 << 16);
  square(python, two.pipeline, x, y, 64);
  const { value } = await python.ask({ op: "profile-stop" });
  const rows = value.rows as { name: string; dispatches: number; gpu_ms: number | null; wall_ms: number }[];
  equal(rows.map((row) => [row.name, row.dispatches]).sort(), [
    ["one", 5],
    ["two", 1],
  ]);
  ok(
    rows.every((row) => row.wall_ms > 0 && (row.gpu_ms === null || row.gpu_ms >= 0)),
    JSON.stringify(rows),
  );
  equal(await python.floats(y).then((values) => values[7]), 4);
  equal((await python.ask({ op: "profile-stop" })).value, { rows: [] });
  python.runtime.destroy();
  return { rows };
});

test("overrides by name and by id, several entry points, texture of none", async () => {
  const python = new FakePython();
  const source = `
@id(3) override FACTOR: f32;
override OTHER: u32 = 1;
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read_write> z: array<f32>;
@compute @workgroup_size(OTHER) fn first() { y[0] = FACTOR; }
@compute @workgroup_size(1) fn second() { z[0] = 7.0; }`;
  const y = python.buffer(4);
  const first = python.kernel(source, { FACTOR: 2.5, OTHER: 4 }, "first", "first");
  const second = python.kernel(source, { FACTOR: 2.5 }, "second", "second");
  equal((await first.compiled).value.workgroup_size, [4, 1, 1]);
  python.tell({ op: "dispatch", pipeline: first.pipeline, workgroups: [1], args: [{ group: 0, binding: 0, buffer: y }] });
  equal(await python.floats(y), [2.5]);
  python.tell({ op: "dispatch", pipeline: second.pipeline, workgroups: [1], args: [{ group: 0, binding: 1, buffer: y }] });
  equal(await python.floats(y), [7]);
  const { value } = await python.kernel(source, {}, "undetermined").compiled;
  equal([value.entry_point, value.workgroup_size], ["", []]);
  equal((await failure(python.kernel(source, { NOPE: 1 }, "misspelt").compiled)).code, "binding");
  python.runtime.destroy();
});

test("two uniforms in one group, in any order, and a buffer as a uniform", async () => {
  const python = new FakePython();
  const source = `
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> b: vec2f;
@group(0) @binding(1) var<uniform> a: f32;
@group(0) @binding(3) var<uniform> c: vec4f;
@compute @workgroup_size(1) fn main() { y[0] = a; y[1] = b.y; y[2] = c.w; }`;
  const { pipeline } = python.kernel(source);
  const y = python.buffer(12);
  const c = python.array(Float32Array.of(0, 0, 0, 30));
  for (const value of [1, 100]) {
    const second = python.data(Float32Array.of(0, 20 * value));
    const first = python.data(Float32Array.of(10 * value));
    python.tell({
      op: "dispatch",
      pipeline,
      workgroups: [1],
      args: [
        { group: 0, binding: 2, uniform: second },
        { group: 0, binding: 3, buffer: c },
        { group: 0, binding: 1, uniform: first },
        { group: 0, binding: 0, buffer: y },
      ],
    });
    equal(await python.floats(y), [10 * value, 20 * value, 30]);
  }
  python.runtime.destroy();
});

test("indirect dispatch and copies within a buffer", async () => {
  const python = new FakePython();
  const { pipeline } = python.kernel(
    "@group(0) @binding(0) var<storage, read_write> y: array<atomic<u32>>;\n@compute @workgroup_size(1) fn main() { atomicAdd(&y[0], 1u); }",
  );
  const y = python.buffer(16);
  const counts = python.array(Uint32Array.of(9, 3, 2, 2));
  python.tell({ op: "dispatch", pipeline, workgroups: [1], args: [{ group: 0, binding: 0, buffer: y }], indirect: [counts, 4] });
  python.tell({ op: "copy-buffer", source: y, source_offset: 0, target: y, target_offset: 8, size_bytes: 8 });
  const [bytes] = await python.read(y);
  equal([...new Uint32Array(bytes?.buffer ?? new ArrayBuffer(0))], [12, 0, 12, 0]);
  python.runtime.destroy();
});

test("too big a buffer is refused with both numbers, and the next call works", async () => {
  const python = new FakePython();
  const big = python.buffer(2 ** 40);
  const error = await failure(python.ask({ op: "synchronize" }));
  equal([error.code, error.details?.wanted, error.details?.limit], ["limit", 2 ** 40, "maxBufferSize"]);
  python.tell({ op: "free-buffer", buffer: big });
  equal(await python.floats(python.array(Float32Array.of(4))), [4]);
  python.runtime.destroy();
});

test("too large a workgroup, and too many bindings, are refused with both numbers", async () => {
  const python = new FakePython();
  const large = await failure(python.kernel("@compute @workgroup_size(64, 65) fn main() {}", {}, "large").compiled);
  equal([large.code, large.details?.limit, large.details?.wanted], ["limit", "maxComputeInvocationsPerWorkgroup", 4160]);
  const many = Array.from({ length: 40 }, (_, i) => `@group(0) @binding(${i}) var<storage, read_write> b${i}: array<f32>;`);
  const body = many.map((_, i) => `b${i}[0] = 1.0;`).join("");
  const crowded = await failure(python.kernel(`${many.join("\n")}\n@compute @workgroup_size(1) fn main() { ${body} }`, {}, "crowded").compiled);
  equal([crowded.code, crowded.details?.limit, crowded.details?.wanted], ["limit", "maxStorageBuffersPerShaderStage", 40]);
  equal(await python.floats(python.array(Float32Array.of(4))), [4]);
  python.runtime.destroy();
});

test("nothing is read, cleared or copied of zero bytes", async () => {
  const python = new FakePython();
  const a = python.array(Float32Array.of(1, 2));
  python.tell({ op: "clear-buffer", buffer: a, offset: 4, size_bytes: 0 });
  python.tell({ op: "copy-buffer", source: a, source_offset: 0, target: a, target_offset: 4, size_bytes: 0 });
  equal((await python.ask({ op: "read", reads: [{ buffer: a, offset: 0, size_bytes: 0 }] })).items, []);
  equal(await python.floats(a), [1, 2]);
  python.tell({ op: "clear-buffer", buffer: a, offset: 4, size_bytes: 8 });
  equal((await failure(python.read(a))).code, "validation");
  python.runtime.destroy();
});

const FILTERED = `
@group(0) @binding(0) var t: texture_2d<f32>;
@group(0) @binding(1) var s: sampler;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn main() {
  y[0] = textureSampleLevel(t, s, vec2f(0.5, 0.5), 0.0).x;
  y[1] = textureLoad(t, vec2u(1, 0), 0).x;
}`;
const LOADED = FILTERED.replace("y[0] = textureSampleLevel(t, s, vec2f(0.5, 0.5), 0.0).x;", "y[0] = 0.0;").replace("@group(0) @binding(1) var s: sampler;", "");

for (const [format, pixels] of [
  ["r32float", Float32Array.of(0, 1, 2, 3)],
  ["rgba8unorm", Uint8Array.of(0, 0, 0, 0, 85, 0, 0, 0, 170, 0, 0, 0, 255, 0, 0, 0)],
] as const) {
  test(`a ${format} texture is loaded, and sampled`, async () => {
    const python = new FakePython();
    const texture = python.handle();
    python.tell({ op: "create-texture", texture, format, dimension: "2d", size: [2, 2, 1], mip_levels: 1, storage: false });
    const data = python.data(pixels);
    python.tell({ op: "write-texture", texture, mip_level: 0, origin: [0, 0, 0], size: [2, 2, 1], bytes_per_row: pixels.byteLength / 2, data });
    const y = python.buffer(8);
    const sampled = python.kernel(FILTERED);
    python.tell({
      op: "dispatch",
      pipeline: sampled.pipeline,
      workgroups: [1],
      args: [
        { group: 0, binding: 0, texture },
        { group: 0, binding: 1, sampler: { filter: "linear", address: "clamp-to-edge" } },
        { group: 0, binding: 2, buffer: y },
      ],
    });
    const scale = format === "r32float" ? 3 : 1;
    const close = (actual: number[], expected: number[]): void => {
      ok(
        actual.every((value, i) => Math.abs(value - (expected[i] ?? 0)) < 0.01),
        `${actual} instead of ${expected}`,
      );
    };
    close(await python.floats(y), [0.5 * scale, scale / 3]);
    const loaded = python.kernel(LOADED);
    python.tell({
      op: "dispatch",
      pipeline: loaded.pipeline,
      workgroups: [1],
      args: [
        { group: 0, binding: 0, texture },
        { group: 0, binding: 2, buffer: y },
      ],
    });
    close(await python.floats(y), [0, scale / 3]);
    const { items } = await python.ask({ op: "read-texture", texture });
    equal([...(items[0] ?? [])], [...new Uint8Array(pixels.buffer)]);
    python.runtime.destroy();
  });
}

test("textures whose rows are no multiple of 4 bytes come back tight", async () => {
  const python = new FakePython();
  for (const [format, width, height, texel] of [
    ["r8unorm", 5, 3, 1],
    ["rg8unorm", 7, 5, 2],
    ["rgba8unorm", 65, 3, 4],
    ["r16float", 3, 3, 2],
  ] as const) {
    const texture = python.handle();
    const pixels = Uint8Array.from({ length: width * height * texel }, (_, i) => (i * 7) % 60);
    python.tell({ op: "create-texture", texture, format, dimension: "2d", size: [width, height, 1], mip_levels: 1, storage: false });
    const data = python.data(pixels);
    python.tell({ op: "write-texture", texture, mip_level: 0, origin: [0, 0, 0], size: [width, height, 1], bytes_per_row: width * texel, data });
    const { items } = await python.ask({ op: "read-texture", texture });
    equal([...(items[0] ?? [])], [...pixels], format);
  }
  python.runtime.destroy();
});

test("storage, array and 3d textures", async () => {
  const python = new FakePython();
  const source = `
@group(0) @binding(0) var volume: texture_3d<f32>;
@group(0) @binding(1) var layers: texture_2d_array<f32>;
@group(0) @binding(2) var to: texture_storage_2d<rgba8unorm, write>;
@compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) {
  textureStore(to, id.xy, textureLoad(volume, vec3u(id.xy, 1), 0) + textureLoad(layers, id.xy, 1, 0));
}`;
  const [from, layers, to] = [python.handle(), python.handle(), python.handle()];
  const texels = (values: number[]): Uint8Array<ArrayBuffer> => Uint8Array.from(values.flatMap((value) => [value, value, value, 255]));
  python.tell({ op: "create-texture", texture: from, format: "rgba8unorm", dimension: "3d", size: [2, 1, 2], mip_levels: 1, storage: false });
  let data = python.data(texels([1, 2, 3, 4]));
  python.tell({ op: "write-texture", texture: from, mip_level: 0, origin: [0, 0, 0], size: [2, 1, 2], bytes_per_row: 8, data });
  python.tell({ op: "create-texture", texture: layers, format: "rgba8unorm", dimension: "2d-array", size: [2, 1, 2], mip_levels: 1, storage: false });
  data = python.data(texels([10, 20, 30, 40]));
  python.tell({ op: "write-texture", texture: layers, mip_level: 0, origin: [0, 0, 0], size: [2, 1, 2], bytes_per_row: 8, data });
  python.tell({ op: "create-texture", texture: to, format: "rgba8unorm", dimension: "2d", size: [2, 1, 1], mip_levels: 1, storage: true });
  const { pipeline } = python.kernel(source);
  python.tell({
    op: "dispatch",
    pipeline,
    workgroups: [2],
    args: [from, layers, to].map((texture, binding) => ({ group: 0, binding, texture })),
  });
  const { items } = await python.ask({ op: "read-texture", texture: to });
  equal([...(items[0] ?? [])], [...texels([33, 44])]);
  python.runtime.destroy();
});

test("mip levels are the mean of four", async () => {
  const python = new FakePython();
  const source = `
@group(0) @binding(0) var t: texture_2d<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn main() {
  y[0] = textureLoad(t, vec2u(0, 0), 1).x; y[1] = textureLoad(t, vec2u(1, 1), 1).x; y[2] = textureLoad(t, vec2u(0, 0), 2).x;
}`;
  for (const format of ["r32float", "rgba32float", "r16float", "rgba8unorm"]) {
    const texture = python.handle();
    python.tell({ op: "create-texture", texture, format, dimension: "2d", size: [4, 4, 1], mip_levels: 3, storage: false });
    const channels = format.startsWith("rgba") ? 4 : 1;
    const values = Array.from({ length: 16 }, (_, i) => (format === "rgba8unorm" ? i * 16 : i / 16)).flatMap((value) => Array<number>(channels).fill(value));
    const pixels = format === "rgba8unorm" ? Uint8Array.from(values) : format === "r16float" ? halves(values) : Float32Array.from(values);
    const data = python.data(pixels);
    python.tell({ op: "write-texture", texture, mip_level: 0, origin: [0, 0, 0], size: [4, 4, 1], bytes_per_row: pixels.byteLength / 4, data });
    const y = python.buffer(12);
    const { pipeline } = python.kernel(source);
    python.tell({
      op: "dispatch",
      pipeline,
      workgroups: [1],
      args: [
        { group: 0, binding: 0, texture },
        { group: 0, binding: 1, buffer: y },
      ],
    });
    const got = await python.floats(y);
    const expected = [2.5 / 16, 12.5 / 16, 7.5 / 16];
    ok(
      got.every((value, i) => Math.abs(value - (expected[i] ?? 0)) < 0.01),
      `${format}: ${got} instead of ${expected}`,
    );
  }
  python.runtime.destroy();
});

/** Numbers in [0, 1) as float16. */
function halves(values: number[]): Uint16Array<ArrayBuffer> {
  return Uint16Array.from(values, (value) => {
    if (value === 0) return 0;
    const exponent = Math.floor(Math.log2(value));
    return ((exponent + 15) << 10) | Math.round((value / 2 ** exponent - 1) * 1024);
  });
}

const LAYOUTS = [
  "struct S { a: vec3f, b: f32, c: vec2f, d: f32 }",
  "struct S { a: f32, b: vec3f, c: mat3x3f, d: f32, e: mat2x2f }",
  "struct In { p: vec3f, q: f32 } struct S { a: f32, b: In, c: array<In, 2>, d: mat4x3f }",
  "struct S { @size(24) a: f32, @align(16) b: f32, c: array<vec3f, 2>, d: array<f32, 3>, e: mat3x2f }",
  "const N = 3; alias V = vec3f; struct In { v: V, w: array<vec2f, N> } struct S { a: In, b: f32, c: array<In, N - 1>, d: vec4f }",
];

/** Every float of a type: how WGSL names it, and where the reflection says that it lies. */
function leaves(type: TypeInfo, path: string, offset: number): [string, number][] {
  switch (type.type) {
    case "scalar":
      return [[path, offset]];
    case "vector":
      return Array.from({ length: type.count }, (_, i) => [`${path}[${i}]`, offset + 4 * i]);
    case "matrix":
      return Array.from({ length: type.columns * type.rows }, (_, i) => {
        const [column, row] = [Math.floor(i / type.rows), i % type.rows];
        return [`${path}[${column}][${row}]`, offset + (column * type.size) / type.columns + 4 * row];
      });
    case "array":
      return Array.from({ length: type.count }, (_, i) => leaves(type.elem, `${path}[${i}]`, offset + i * type.stride)).flat();
    case "struct":
      return type.members.flatMap((member) => leaves(member.type, `${path}.${member.name}`, offset + member.offset));
    default:
      return [];
  }
}

test("the compiler puts every member where the reflection says", async () => {
  const python = new FakePython();
  for (const declarations of LAYOUTS) {
    const head = `${declarations}\n@group(0) @binding(0) var<storage, read_write> s: array<S, 2>;\n`;
    const type = new ModuleReflection(head).reflection.bindings[0]?.type;
    if (!type) throw new Error("no type");
    const all = leaves(type, "s", 0);
    const { pipeline } = python.kernel(`${head}@compute @workgroup_size(1) fn main() {\n${all.map(([name], i) => `${name} = ${i + 1}.0;`).join("\n")}\n}`);
    const buffer = python.buffer(type.size);
    python.tell({ op: "dispatch", pipeline, workgroups: [1], args: [{ group: 0, binding: 0, buffer }] });
    const floats = await python.floats(buffer);
    equal(
      all.map(([, offset]) => floats[offset / 4]),
      all.map((_, i) => i + 1),
      declarations,
    );
  }
  python.runtime.destroy();
});
