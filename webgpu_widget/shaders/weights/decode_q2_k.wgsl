// GGUF Q2_K to float32: blocks of 256: 16 bytes of a 4-bit scale and minimum for 16 elements each, 64 bytes of bit pairs, f16 d and dmin;
// the value is (d * scale) * q - dmin * minimum.
// Shapes: raw, 84 bytes a block of 256, in 32-bit words -> values (f32), params.count elements.
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
  let block = (i >> 8u) * 84u;
  let j = i & 255u;
  let both = byte_at(block + (j >> 4u));
  let q = (byte_at(block + 16u + (j >> 7u) * 32u + (j & 31u)) >> (((j >> 5u) & 3u) * 2u)) & 3u;
  values[i] = half_at(block + 80u) * f32(both & 15u) * f32(q) - half_at(block + 82u) * f32(both >> 4u);
}
