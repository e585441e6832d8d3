// float64 to float32, rounded to nearest, ties to even.
// Shapes: raw, 8 bytes an element, in 32-bit words -> values (f32 bit patterns), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: correctly rounded, subnormal results included; NaN stays NaN.
// Source: IEEE 754 binary64.

#import shared/conversion

@group(0) @binding(0) var<storage, read> raw: array<u32>;
@group(0) @binding(1) var<storage, read_write> values: array<u32>;

fn narrow(low: u32, high: u32) -> u32 {
  let sign = high & 0x80000000u;
  let exponent = i32((high >> 20u) & 2047u) - 896; // biased for f32
  if (exponent == 1151) {
    let payload = (high & 0xfffffu) | low;
    return sign | 0x7f800000u | select(0u, 0x400000u, payload != 0u);
  }
  if (exponent >= 255) {
    return sign | 0x7f800000u;
  }
  if (exponent < -24) {
    return sign;
  }
  // 26 bits of significand: 24, a rounding bit, and a sticky bit for the rest.
  var bits = 0x2000000u | ((high & 0xfffffu) << 5u) | (low >> 27u);
  var sticky = select(0u, 1u, (low & 0x7ffffffu) != 0u);
  var biased = u32(max(exponent, 1)) - 1u;
  if (exponent < 1) {
    let shift = u32(1 - exponent);
    sticky |= select(0u, 1u, (bits & ((1u << shift) - 1u)) != 0u);
    bits >>= shift;
  }
  let rounding = bits & 3u;
  var result = (biased << 23u) + (bits >> 2u);
  if (rounding == 3u || (rounding == 2u && (sticky != 0u || (result & 1u) != 0u))) {
    result += 1u; // carries into the exponent, up to infinity, as it should
  }
  return sign | result;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.count) {
    return;
  }
  values[i] = narrow(raw[2u * i], raw[2u * i + 1u]);
}
