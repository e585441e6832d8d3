// Scale and minimum of a group of 32, six bits each: the K formats with minimums have eight of both in twelve bytes.
// Accuracy: exact.
// Source: https://github.com/ggml-org/ggml, the block formats of ggml-common.h.

#import shared/raw

fn six_bits_at(begin: u32, group: u32) -> vec2u {
  if (group < 4u) { return vec2u(byte_at(begin + group), byte_at(begin + 4u + group)) & vec2u(63u); }
  let low = byte_at(begin + 4u + group);
  let high = vec2u(byte_at(begin + group - 4u), byte_at(begin + group)) >> vec2u(6u);
  return vec2u(low & 15u, low >> 4u) | (high << vec2u(4u));
}
