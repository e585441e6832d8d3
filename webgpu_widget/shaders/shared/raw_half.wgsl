// A float16 among the bytes of a file, at a multiple of two.
// Accuracy: exact.
// Source: IEEE 754 binary16.

#import shared/half
#import shared/raw

fn half_at(at: u32) -> f32 {
  return bitcast<f32>(half_bits((raw[at >> 2u] >> ((at & 2u) * 8u)) & 0xffffu));
}
