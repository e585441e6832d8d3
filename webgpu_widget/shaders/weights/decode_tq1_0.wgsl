// GGUF TQ1_0 to float32: blocks of 256: 52 bytes of five or four digits of base 3 each, f16 d; d * (digit - 1).
// Shapes: raw, 54 bytes a block of 256, in 32-bit words -> values (f32), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: exact.
// Source: https://github.com/ggml-org/ggml, the block formats of ggml-common.h.

struct Params {
  count: u32,   // elements to write
  flag: u32,    // which flag to raise (checked kernels)
  pad0: u32,
  pad1: u32,
}

@group(0) @binding(0) var<storage, read> raw: array<u32>;
@group(0) @binding(1) var<storage, read_write> values: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

// The exact f32 of a 16-bit float; integers, because hardware may flush subnormals.
fn half_bits(h: u32) -> u32 {
  let sign = (h & 0x8000u) << 16u;
  let exponent = (h >> 10u) & 31u;
  let fraction = h & 1023u;
  if (exponent == 0u) {
    return sign | bitcast<u32>(f32(fraction) * 5.9604644775390625e-8);
  }
  if (exponent == 31u) {
    return sign | 0x7f800000u | (fraction << 13u);
  }
  return sign | ((exponent + 112u) << 23u) | (fraction << 13u);
}

fn byte_at(at: u32) -> u32 {
  return (raw[at >> 2u] >> ((at & 3u) * 8u)) & 255u;
}

fn half_at(at: u32) -> f32 {
  return bitcast<f32>(half_bits((raw[at >> 2u] >> ((at & 2u) * 8u)) & 0xffffu));
}

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
