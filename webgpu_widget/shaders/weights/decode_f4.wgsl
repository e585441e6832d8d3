// F4 (E2M1: 2 bits of exponent, 1 of fraction) to float32, the first of a byte in its lower half.
// Shapes: raw, 4 bits an element, in 32-bit words -> values (f32 bit patterns), params.count elements.
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
  let q = (raw[i >> 3u] >> ((i & 7u) * 4u)) & 15u;
  let exponent = (q >> 1u) & 3u;
  let fraction = q & 1u;
  // Without an exponent a number of steps of 2^-1, all of them normal in f32.
  var magnitude = bitcast<u32>(f32(fraction) * 0.5);
  if (exponent > 0u) {
    magnitude = ((exponent + 126u) << 23u) | (fraction << 22u);
  }
  values[i] = magnitude | ((q >> 3u) << 31u);
}
