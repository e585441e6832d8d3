import type { FakePython } from "./python.js";

export const SQUARE = `
struct Params { n: u32, scale: f32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < params.n) { y[id.x] = params.scale * x[id.x] * x[id.x]; }
}`;

const params = (n: number, scale: number): Uint8Array<ArrayBuffer> => {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint32(0, n, true);
  view.setFloat32(4, scale, true);
  return new Uint8Array(view.buffer);
};

export function square(python: FakePython, pipeline: number, x: number, y: number, n: number, scale = 1): void {
  const uniform = python.data(params(n, scale));
  python.tell({
    op: "dispatch",
    pipeline,
    workgroups: [Math.ceil(n / 64), 1, 1],
    args: [
      { group: 0, binding: 0, buffer: x },
      { group: 0, binding: 1, buffer: y },
      { group: 1, binding: 0, uniform },
    ],
  });
}
