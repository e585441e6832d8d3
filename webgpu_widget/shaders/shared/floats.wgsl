// Parts, tests and order of floats on their bits, since WGSL may assume that neither NaN nor infinities occur, and their quotient.
// Accuracy: exact; f_divide as WGSL's own quotient, 2.5 units in the last place.
// Source: IEEE 754 binary32; NumPy for what becomes of NaN.

var<private> nan_bits: u32 = 0x7fc00000u;
var<private> inf_bits: u32 = 0x7f800000u;

fn b_abs(x: f32) -> u32 { return bitcast<u32>(x) & 0x7fffffffu; }

fn f_nan() -> f32 { return bitcast<f32>(nan_bits); }

fn f_inf() -> f32 { return bitcast<f32>(inf_bits); }

fn f_isnan(x: f32) -> bool { return b_abs(x) > 0x7f800000u; }

fn f_isinf(x: f32) -> bool { return b_abs(x) == 0x7f800000u; }

fn f_isfinite(x: f32) -> bool { return b_abs(x) < 0x7f800000u; }

fn f_signbit(x: f32) -> bool { return (bitcast<u32>(x) >> 31u) != 0u; }

fn f_copysign(x: f32, y: f32) -> f32 {
  return bitcast<f32>(b_abs(x) | (bitcast<u32>(y) & 0x80000000u));
}

fn f_abs(x: f32) -> f32 { return bitcast<f32>(b_abs(x)); }

// Integers in the order of the floats; both zeros are 0. NaN lies outside the infinities.
fn f_order(x: f32) -> i32 {
  let m = i32(b_abs(x));
  return select(m, -m, f_signbit(x));
}

fn f_maximum(x: f32, y: f32) -> f32 {
  return select(x, y, !f_isnan(x) & (f_isnan(y) | (f_order(y) > f_order(x))));
}

fn f_minimum(x: f32, y: f32) -> f32 {
  return select(x, y, !f_isnan(x) & (f_isnan(y) | (f_order(y) < f_order(x))));
}

fn f_divide(x: f32, y: f32) -> f32 {
  let ax = b_abs(x);
  let ay = b_abs(y);
  let s = (bitcast<u32>(x) ^ bitcast<u32>(y)) & 0x80000000u;
  // WGSL bounds the error of a quotient only for divisors in 2**-126 .. 2**126: bring the large ones inside.
  let scale = select(1.0, 0.0625, ay > 0x7e000000u);
  var q = bitcast<u32>((x * scale) / (y * scale));
  q = select(q, inf_bits | s, (ay == 0u) | (ax == 0x7f800000u));
  q = select(q, s, (ax == 0u) | (ay == 0x7f800000u));
  let none = (max(ax, ay) > 0x7f800000u) | ((ax == ay) & ((ax == 0u) | (ax == 0x7f800000u)));
  return bitcast<f32>(select(q, nan_bits, none));
}
