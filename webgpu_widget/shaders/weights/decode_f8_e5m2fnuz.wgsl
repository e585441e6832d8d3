// F8_E5M2FNUZ to float32: 5 bits of exponent of bias 16, 2 of fraction, no infinity and no negative zero, whose bits are NaN.
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
  if (q == 0x80u) {
    values[i] = 0x7fc00000u;
    return;
  }
  let exponent = (q >> 2u) & 31u;
  let fraction = q & 3u;
  // Without an exponent a number of steps of 2^-17, all of them normal in f32.
  var magnitude = bitcast<u32>(f32(fraction) * 7.62939453125e-06);
  if (exponent > 0u) {
    magnitude = ((exponent + 111u) << 23u) | (fraction << 21u);
  }
  values[i] = magnitude | ((q >> 7u) << 31u);
}
