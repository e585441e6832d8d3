// float16 to float32.
// Accuracy: exact, subnormals and NaN payloads included.
// Source: IEEE 754 binary16.

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
