// GGUF Q4_0 to float32: blocks of 32 with an f16 scale d and 16 bytes; byte k has element k below and k + 16 above; d * (q - 8).
// Shapes: raw, 18 bytes a block of 32, in 32-bit words -> values (f32), params.count elements.
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
  let block = (i >> 5u) * 18u;
  let j = i & 31u;
  let q = (byte_at(block + 2u + (j & 15u)) >> ((j >> 4u) * 4u)) & 15u;
  values[i] = half_at(block) * (f32(q) - 8.0);
}
