// Parts of the blocks that GGUF stores matrices in.
// Accuracy: exact, but for of_shares: two roundings, or one where the adapter fuses them.
// Source: https://github.com/ggml-org/ggml, the block formats of ggml-common.h.

// The exact f32 of a 16-bit float: integers, because hardware may flush subnormals.
fn single(h: u32) -> f32 {
  let sign = (h & 0x8000u) << 16u;
  let exponent = h & 0x7c00u;
  if (exponent == 0u) { return bitcast<f32>(sign | bitcast<u32>(f32(h & 1023u) * 5.9604644775390625e-8)); }
  return bitcast<f32>(sign | (((h & 0x7fffu) << 13u) + select(0x38000000u, 0x70000000u, exponent == 0x7c00u)));
}

fn nibbles(word: u32, part: u32) -> vec4f { return vec4f((vec4u(word) >> (vec4u(0u, 8u, 16u, 24u) + part / 4u * 4u)) & vec4u(15u)); }
fn bytes(word: u32) -> vec4f { return vec4f(vec4i(vec4u(word) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u)); }
fn bits(word: u32, shift: u32, mask: u32) -> vec4u { return (vec4u(word) >> (vec4u(0u, 8u, 16u, 24u) + shift)) & vec4u(mask); }

// Scale and minimum number j of the 6-bit ones that three words hold for the K formats with minimums.
fn shares(a: u32, b: u32, c: u32, j: u32) -> vec2f {
  let shift = j % 4u * 8u;
  if (j < 4u) { return vec2f(f32((a >> shift) & 63u), f32((b >> shift) & 63u)); }
  let low = c >> shift;
  return vec2f(f32((low & 15u) | (((a >> (shift + 6u)) & 3u) << 4u)), f32(((low >> 4u) & 15u) | (((b >> (shift + 6u)) & 3u) << 4u)));
}

fn of_shares(d: f32, least: f32, share: vec2f, q: vec4u) -> vec4f { return d * share.x * vec4f(q) - least * share.y; }
