// GGUF Q5_1 to float32: as Q5_0 with an f16 minimum m beside the scale; d * q + m.
// Shapes: raw, 24 bytes a block of 32, in 32-bit words -> values (f32), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: two f32 roundings, or one where the adapter fuses them.
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
  let block = (i >> 5u) * 24u;
  let j = i & 31u;
  let low = (byte_at(block + 8u + (j & 15u)) >> ((j >> 4u) * 4u)) & 15u;
  let high = (byte_at(block + 4u + (j >> 3u)) >> (j & 7u)) & 1u;
  values[i] = half_at(block) * f32(low | (high << 4u)) + half_at(block + 2u);
}
