// 8-bit float with 5 exponent bits to float32: the upper half of a float16.
// Shapes: raw, 1 byte an element, in 32-bit words -> values (f32 bit patterns), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: exact.
// Source: Micikevicius et al., FP8 formats for deep learning, arXiv:2209.05433, table 1.

#import shared/conversion
#import shared/half
#import shared/raw

@group(0) @binding(1) var<storage, read_write> values: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.count) {
    return;
  }
  values[i] = half_bits(byte_at(i) << 8u);
}
