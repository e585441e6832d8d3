// F8_E8M0 to float32: powers of two, 2^(q - 127), and NaN.
// Shapes: raw, a byte an element, in 32-bit words -> values (f32 bit patterns), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: exact.
// Source: own.

#import shared/conversion

@group(0) @binding(0) var<storage, read> raw: array<u32>;
@group(0) @binding(1) var<storage, read_write> values: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.count) {
    return;
  }
  let q = (raw[i >> 2u] >> ((i & 3u) * 8u)) & 255u;
  // 2^-127 is no normal number, and 255 is NaN.
  var bits = select(q << 23u, 0x00400000u, q == 0u);
  if (q == 255u) {
    bits = 0x7fc00000u;
  }
  values[i] = bits;
}
