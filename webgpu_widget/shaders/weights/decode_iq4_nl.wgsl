// GGUF IQ4_NL to float32: blocks of 32: f16 d, 16 bytes of nibbles that choose one of sixteen values; d * value.
// Shapes: raw, 18 bytes a block of 32, in 32-bit words -> values (f32), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: one f32 rounding.
// Source: https://github.com/ggml-org/ggml, the block formats of ggml-common.h.

#import shared/conversion
#import shared/raw_half

@group(0) @binding(1) var<storage, read_write> values: array<f32>;

// The levels of ggml, four a vector.
const LEVELS = array<vec4i, 4>(
  vec4i(-127, -104, -83, -65),
  vec4i(-49, -35, -22, -10),
  vec4i(1, 13, 25, 38),
  vec4i(53, 69, 89, 113),
);

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.count) {
    return;
  }
  let block = (i >> 5u) * 18u;
  let j = i & 31u;
  let q = (byte_at(block + 2u + (j & 15u)) >> ((j >> 4u) * 4u)) & 15u;
  let four = LEVELS[q >> 2u];
  values[i] = half_at(block) * f32(four[q & 3u]);
}
