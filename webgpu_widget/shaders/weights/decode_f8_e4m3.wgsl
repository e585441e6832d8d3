// 8-bit float with 4 exponent bits to float32: no infinity, 0x7f and 0xff are NaN.
// Shapes: raw, 1 byte an element, in 32-bit words -> values (f32 bit patterns), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: exact.
// Source: Micikevicius et al., FP8 formats for deep learning, arXiv:2209.05433, table 1.

#import shared/conversion
#import shared/raw

@group(0) @binding(1) var<storage, read_write> values: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.count) {
    return;
  }
  let v = byte_at(i);
  let sign = (v & 0x80u) << 24u;
  let exponent = (v >> 3u) & 15u;
  let fraction = v & 7u;
  if ((v & 0x7fu) == 0x7fu) {
    values[i] = sign | 0x7fc00000u;
  } else if (exponent == 0u) {
    values[i] = sign | bitcast<u32>(f32(fraction) * 0.001953125); // 2**-9
  } else {
    values[i] = sign | ((exponent + 120u) << 23u) | (fraction << 20u);
  }
}
