// GGUF MXFP4 to float32: blocks of 32: a power of two 2^(e - 127), 16 bytes of floats of 4 bits (2 of exponent, 1 of fraction).
// Shapes: raw, 17 bytes a block of 32, in 32-bit words -> values (f32), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: exact, subnormals included; beyond float32 it is infinite.
// Source: https://github.com/ggml-org/ggml, the block formats of ggml-common.h.

#import shared/conversion
#import shared/raw

@group(0) @binding(1) var<storage, read_write> values: array<f32>;

// The bits of q's value times 2^(e - 127); integers, because hardware may flush subnormals.
fn magnitude(q: u32, e: u32) -> u32 {
  if (q == 0u) {
    return 0u;
  }
  // 0.5 is q = 1; all others are (1 + (q & 1) / 2) * 2^((q >> 1) - 1).
  let fraction = select((q & 1u) << 22u, 0u, q == 1u);
  let exponent = i32(e) + select(i32(q >> 1u) - 1, -1, q == 1u);
  if (exponent >= 255) {
    return 0x7f800000u;
  }
  if (exponent <= 0) {
    return (0x00800000u | fraction) >> u32(1 - exponent);
  }
  return (u32(exponent) << 23u) | fraction;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.count) {
    return;
  }
  let block = (i >> 5u) * 17u;
  let j = i & 31u;
  let q = (byte_at(block + 1u + (j & 15u)) >> ((j >> 4u) * 4u)) & 15u;
  let sign = select((q & 8u) << 28u, 0u, q == 8u);
  values[i] = bitcast<f32>(sign | magnitude(q & 7u, byte_at(block)));
}
