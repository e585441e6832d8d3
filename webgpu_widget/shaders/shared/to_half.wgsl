// float32 to float16.
// Accuracy: correctly rounded, subnormal results included.
// Source: IEEE 754 binary16.

// The bits of the nearest 16-bit float, ties to even; integers, because pack2x16float may round either way.
fn half_of(v: u32) -> u32 {
  let sign = (v >> 16u) & 0x8000u;
  let magnitude = v & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    return sign | 0x7e00u;
  }
  if (magnitude >= 0x477ff000u) { // 65520 and more round to infinity
    return sign | 0x7c00u;
  }
  if (magnitude >= 0x38800000u) {
    return sign | ((magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13u) & 1u)) >> 13u);
  }
  if (magnitude < 0x33000000u) { // under half of the smallest subnormal
    return sign;
  }
  let shift = 126u - (magnitude >> 23u);
  let bits = (magnitude & 0x7fffffu) | 0x800000u;
  let kept = bits >> shift;
  let rest = bits & ((1u << shift) - 1u);
  let middle = 1u << (shift - 1u);
  let up = rest > middle || (rest == middle && (kept & 1u) != 0u);
  return sign | (kept + select(0u, 1u, up));
}
