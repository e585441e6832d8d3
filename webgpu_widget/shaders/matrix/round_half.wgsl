// Round a run of float32 to float16, eight elements an invocation: the fast way where nothing is moved or padded.
// Shapes: x (8 * count) float32 -> y (8 * count) float16, four u32 of two elements each.
// Dispatch: one invocation per eight elements, 256 a workgroup, folded over x and y.
// Accuracy: one rounding to nearest even; 65520 and more are infinite, NaN stays NaN.
// Source: IEEE 754 binary16, in integers, as in convert: pack2x16float may spill what float16 cannot hold into the other half.

struct Params {
  count: u32,
  x_offset: u32, // in vec4f
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4u>;
@group(1) @binding(0) var<uniform> p: Params;

// The bits of the nearest float16 of each, ties to even.
fn to_half(x: vec4f) -> vec4u {
  let bits = bitcast<vec4u>(x);
  let a = bits & vec4u(0x7fffffffu);
  let normal = (a - 0x38000000u + 0xfffu + ((a >> vec4u(13u)) & vec4u(1u))) >> vec4u(13u);
  // Adding 0.5 leaves in the low bits how many units of 2**-24 there are.
  let small = bitcast<vec4u>(bitcast<vec4f>(a) + 0.5) - 0x3f000000u;
  var h = select(normal, small, a < vec4u(0x38800000u));
  h = select(h, vec4u(0x7c00u), a >= vec4u(0x477ff000u));
  h = select(h, vec4u(0x7e00u), a > vec4u(0x7f800000u));
  return h | ((bits >> vec4u(16u)) & vec4u(0x8000u));
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 256u + id.x;
  if (i >= p.count) {
    return;
  }
  let a = to_half(x[p.x_offset + 2u * i]);
  let b = to_half(x[p.x_offset + 2u * i + 1u]);
  y[i] = vec4u(a.xz | (a.yw << vec2u(16u)), b.xz | (b.yw << vec2u(16u)));
}
