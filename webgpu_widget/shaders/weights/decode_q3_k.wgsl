// GGUF Q3_K to float32: blocks of 256: 32 bytes of third bits, 64 of bit pairs, 12 of 6-bit scales for 16 elements each, f16 d;
// the value is d * (scale - 32) * q, and q is less by 4 where its third bit is not set.
// Shapes: raw, 110 bytes a block of 256, in 32-bit words -> values (f32), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: two f32 roundings.
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
  let block = (i >> 8u) * 110u;
  let j = i & 255u;
  let group = j >> 4u;
  let nibble = (byte_at(block + 96u + (group & 7u)) >> ((group >> 3u) * 4u)) & 15u;
  let top = (byte_at(block + 104u + (group & 3u)) >> ((group >> 2u) * 2u)) & 3u;
  let scale = i32(nibble | (top << 4u)) - 32;
  let low = (byte_at(block + 32u + (j >> 7u) * 32u + (j & 31u)) >> (((j >> 5u) & 3u) * 2u)) & 3u;
  let high = (byte_at(block + (j & 31u)) >> (j >> 5u)) & 1u;
  values[i] = half_at(block + 108u) * f32(scale) * f32(i32(low | (high << 2u)) - 4);
}
