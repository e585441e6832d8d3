// GGUF Q5_0 to float32: blocks of 32: f16 d, 32 fifth bits, 16 bytes of nibbles; d * (q - 16).
// Shapes: raw, 22 bytes a block of 32, in 32-bit words -> values (f32), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: one f32 rounding.
// Source: https://github.com/ggml-org/ggml, the block formats of ggml-common.h.

#import shared/conversion
#import shared/raw_half

@group(0) @binding(1) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.count) {
    return;
  }
  let block = (i >> 5u) * 22u;
  let j = i & 31u;
  let low = (byte_at(block + 6u + (j & 15u)) >> ((j >> 4u) * 4u)) & 15u;
  let high = (byte_at(block + 2u + (j >> 3u)) >> (j & 7u)) & 1u;
  values[i] = half_at(block) * f32(i32(low | (high << 4u)) - 16);
}
