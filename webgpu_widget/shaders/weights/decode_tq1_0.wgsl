// GGUF TQ1_0 to float32: blocks of 256: 52 bytes of five or four digits of base 3 each, f16 d; d * (digit - 1).
// Shapes: raw, 54 bytes a block of 256, in 32-bit words -> values (f32), params.count elements.
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
  let block = (i >> 8u) * 54u;
  let j = i & 255u;
  var at = j & 31u;
  var digit = j >> 5u;
  if (j >= 240u) {
    at = 48u + (j & 3u);
    digit = (j - 240u) >> 2u;
  } else if (j >= 160u) {
    at = 32u + (j & 15u);
    digit = (j - 160u) >> 4u;
  }
  var power = 1u;
  for (var k = 0u; k < digit; k++) {
    power *= 3u;
  }
  let rest = (byte_at(block + at) * power) & 255u;
  values[i] = half_at(block + 52u) * f32(i32((rest * 3u) >> 8u) - 1);
}
