// escape: escape counts of the Mandelbrot set on a grid, for a tile of a picture
// x: (width,) f32 real parts   y: (height,) f32 imaginary parts   iterations, smoothed: (height, width) u32 and f32
// dispatch: one invocation per pixel, ceil(width * height / 64) workgroups folded into x and y
// accuracy: f32 orbits; views narrower than about 1e-4 want a perturbation method      source: own
//   iterations: first n with |z_n| > 2, or max_iter   smoothed: continuous count at radius 2^8, NaN inside
struct Params {
  width: u32,
  height: u32,
  max_iter: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> iterations: array<u32>;
@group(0) @binding(3) var<storage, read_write> smoothed: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const FAR: f32 = 65536.0;      // (2^8)^2
const MORE: u32 = 16u;         // steps from radius 2 to radius 2^8 at most

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.y * groups.x * 64u + id.x;
  if (index >= params.width * params.height) {
    return;
  }
  let c = vec2f(x[index % params.width], y[index / params.width]);
  var z = vec2f();
  var squared = 0.0;
  var n = 0u;
  while (n < params.max_iter && squared <= 4.0) {
    z = vec2f(z.x * z.x - z.y * z.y, 2.0 * z.x * z.y) + c;
    squared = dot(z, z);
    n += 1u;
  }
  if (squared <= 4.0) {
    iterations[index] = params.max_iter;
    smoothed[index] = bitcast<f32>(0x7fc00000u + (params.max_iter & 0u));
    return;
  }
  iterations[index] = n;
  for (var more = 0u; more < MORE && squared <= FAR; more++) {
    z = vec2f(z.x * z.x - z.y * z.y, 2.0 * z.x * z.y) + c;
    squared = dot(z, z);
    n += 1u;
  }
  smoothed[index] = f32(n) + 1.0 - log2(log2(squared) / 16.0);
}
