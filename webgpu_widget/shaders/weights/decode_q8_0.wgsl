// GGUF Q8_0 to float32: blocks of 32 with an f16 scale d and 32 int8 q; the value is d * q.
// Shapes: raw, 34 bytes a block of 32, in 32-bit words -> values (f32), params.count elements.
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
  let block = (i >> 5u) * 34u;
  let q = extractBits(i32(byte_at(block + 2u + (i & 31u))), 0u, 8u);
  values[i] = half_at(block) * f32(q);
}
