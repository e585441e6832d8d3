// GGUF TQ2_0 to float32: blocks of 256: 64 bytes of bit pairs, f16 d; d * (q - 1).
// Shapes: raw, 66 bytes a block of 256, in 32-bit words -> values (f32), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: exact.
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
  let block = (i >> 8u) * 66u;
  let j = i & 255u;
  let q = (byte_at(block + (j >> 7u) * 32u + (j & 31u)) >> (((j >> 5u) & 3u) * 2u)) & 3u;
  values[i] = half_at(block + 64u) * f32(i32(q) - 1);
}
