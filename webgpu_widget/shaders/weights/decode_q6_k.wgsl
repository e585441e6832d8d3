// GGUF Q6_K to float32: blocks of 256: 128 bytes of low nibbles, 64 of high bit pairs, 16 int8 scales, f16 d; d * scale * (q - 32).
// Shapes: raw, 210 bytes a block of 256, in 32-bit words -> values (f32), params.count elements.
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
  let block = (i >> 8u) * 210u;
  let j = i & 255u;
  let half = j >> 7u;          // 128 elements share 64 low bytes and 32 high bytes
  let quarter = (j >> 5u) & 3u;
  let column = j & 31u;
  let low = (byte_at(block + half * 64u + (quarter & 1u) * 32u + column) >> ((quarter >> 1u) * 4u)) & 15u;
  let high = (byte_at(block + 128u + half * 32u + column) >> (quarter * 2u)) & 3u;
  let scale = extractBits(i32(byte_at(block + 192u + (j >> 4u))), 0u, 8u);
  let q = i32(low | (high << 4u)) - 32;
  values[i] = half_at(block + 208u) * f32(scale) * f32(q);
}
