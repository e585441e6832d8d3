// GGUF Q4_K to float32: blocks of 256 with f16 d and dmin, 12 bytes of 6-bit scales and minima for 8 groups of 32, 128 bytes of
// nibbles; the value is (d * scale) * q - (dmin * minimum).
// Shapes: raw, 144 bytes a block of 256, in 32-bit words -> values (f32), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: two f32 roundings, or one where the adapter fuses them.
// Source: https://github.com/ggml-org/ggml, the block formats of ggml-common.h.

#import shared/conversion
#import shared/raw_half
#import shared/six_bits

@group(0) @binding(1) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.count) {
    return;
  }
  let block = (i >> 8u) * 144u;
  let j = i & 255u;
  let group = j >> 5u;
  let share = six_bits_at(block + 4u, group);
  let q = (byte_at(block + 16u + (group >> 1u) * 32u + (j & 31u)) >> ((group & 1u) * 4u)) & 15u;
  values[i] = half_at(block) * f32(share.x) * f32(q) - half_at(block + 2u) * f32(share.y);
}
