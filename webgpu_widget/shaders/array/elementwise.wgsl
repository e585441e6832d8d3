// Elementwise functions of arrays: bits, order, rounding, remainder, integers and casts.
// Scalar functions with NumPy's meaning: f_ takes float, i_ int, u_ uint, b_ bits. No entry point, no bindings: a library from which the generator of
// fused kernels takes what an expression needs.
// NaN and infinities: WGSL may assume that neither occurs, so every test of them and every order is on bit patterns.
// Shapes: one element each; the generated kernel calls them in a loop over its result.
// Accuracy: exact, save f_sqrt and f_divide (WGSL's: 2.5 ulp at worst). Subnormal results may be flushed to 0.
// Source: IEEE 754; NumPy where that leaves it open.

#import shared/floats

fn f_negative(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) ^ 0x80000000u); }

fn f_less(x: f32, y: f32) -> bool { return (f_order(x) < f_order(y)) & !(f_isnan(x) | f_isnan(y)); }

fn f_less_equal(x: f32, y: f32) -> bool { return (f_order(x) <= f_order(y)) & !(f_isnan(x) | f_isnan(y)); }

fn f_equal(x: f32, y: f32) -> bool { return (f_order(x) == f_order(y)) & !f_isnan(x); }

fn f_not_equal(x: f32, y: f32) -> bool { return !f_equal(x, y); }

// An unsigned key that sorts as NumPy does: NaN after +inf.
fn f_sort_key(x: f32) -> u32 {
  return select(bitcast<u32>(f_order(x)) ^ 0x80000000u, 0xffffffffu, f_isnan(x));
}

// Integers in the order of the floats, -0 before 0, and back. NaN lies outside the infinities, on the side of its sign.
fn f_key(x: f32) -> i32 {
  let b = bitcast<i32>(x);
  return b ^ ((b >> 31u) & 0x7fffffff);
}

fn f_unkey(key: i32) -> i32 { return key ^ ((key >> 31u) & 0x7fffffff); }

fn f_sign(x: f32) -> f32 { return select(f32(sign(f_order(x))), x, f_isnan(x)); }

fn f_ceil(x: f32) -> f32 { return select(f_copysign(ceil(x), x), x, b_abs(x) >= 0x4b000000u); }

fn f_floor(x: f32) -> f32 { return select(f_copysign(floor(x), x), x, b_abs(x) >= 0x4b000000u); }

fn f_trunc(x: f32) -> f32 { return select(f_copysign(trunc(x), x), x, b_abs(x) >= 0x4b000000u); }

fn f_round(x: f32) -> f32 { return select(f_copysign(round(x), x), x, b_abs(x) >= 0x4b000000u); }

fn f_nextafter(x: f32, y: f32) -> f32 {
  if (f_isnan(x)) { return x; }
  if (f_isnan(y)) { return y; }
  let a = f_order(x);
  let b = f_order(y);
  if (a == b) { return y; }
  let next = a + select(-1, 1, b > a);
  let bits = u32(abs(next)) | select(0u, 0x80000000u, next < 0 || (next == 0 && a < 0));
  return bitcast<f32>(bits);
}

fn f_sqrt(x: f32) -> f32 {
  let root = select(sqrt(f_abs(x)), x, (b_abs(x) == 0u) | !f_isfinite(x));
  return select(root, f_nan(), f_signbit(x) & (b_abs(x) != 0u));
}

// x / n with one rounding, for 0 < n < 2**26; `factor` is 1 / n to float32. With n = 0, and where x or the quotient is not a normal
// number, x * factor. The quotient's eighths of a last place are found in integers, which no compiler contracts or reorders.
fn f_over(x: f32, n: u32, factor: f32) -> f32 {
  let near = x * factor;
  let ax = b_abs(x);
  let aq = b_abs(near);
  if (n == 0u || ax >= 0x7f800000u || aq < 0x01000000u) { return near; }
  let exponent = aq >> 23u;
  let eighths = ((aq & 0x7fffffu) | 0x800000u) << 3u;
  // `near` is off by less than 20 eighths, so that the low 32 bits of what is left tell all of it.
  let shift = (ax >> 23u) - exponent + 3u;
  let left = (((ax & 0x7fffffu) | 0x800000u) << shift) - eighths * n + 20u * n;
  // At most 40: a product tells it to one, without a division.
  var whole = u32(f32(left) * factor);
  var rest = bitcast<i32>(left - whole * n);
  if (rest < 0) { whole -= 1u; rest += i32(n); }
  if (rest >= i32(n)) { whole += 1u; rest -= i32(n); }
  let q = eighths + whole - 20u;
  let width = 2u + min(q >> 26u, 2u);
  let tail = ((q & ((1u << width) - 1u)) << 1u) | select(0u, 1u, rest != 0);
  let kept = q >> width;
  let up = select(0u, 1u, tail > (1u << width) || (tail == (1u << width) && (kept & 1u) == 1u));
  // The highest bit of what is kept adds one to the exponent.
  return bitcast<f32>((bitcast<u32>(x) & 0x80000000u) | (((exponent + width - 4u) << 23u) + kept + up));
}

// ---------------------------------------------------------------- remainder

fn f_fmod(x: f32, y: f32) -> f32 {
  let ux = b_abs(x);
  let uy = b_abs(y);
  let s = bitcast<u32>(x) & 0x80000000u;
  if (uy == 0u || ux >= 0x7f800000u || uy > 0x7f800000u) { return f_nan(); }
  if (ux < uy) { return x; }
  // Both with their leading bit at 23, subnormals too.
  let ux_up = select(0u, countLeadingZeros(ux) - 8u, ux < 0x800000u && ux != 0u);
  let uy_up = select(0u, countLeadingZeros(uy) - 8u, uy < 0x800000u);
  var ex = max(i32(ux >> 23u), 1) - i32(ux_up);
  var mx = select((ux & 0x7fffffu) | 0x800000u, ux << ux_up, ux < 0x800000u);
  let ey = max(i32(uy >> 23u), 1) - i32(uy_up);
  let my = select((uy & 0x7fffffu) | 0x800000u, uy << uy_up, uy < 0x800000u);
  // Long division in binary: exact whatever the quotient.
  for (; ex > ey; ex--) {
    if (mx >= my) { mx -= my; }
    mx <<= 1u;
    if (mx == 0u) { break; }
  }
  if (mx >= my) { mx -= my; }
  if (mx == 0u) { return bitcast<f32>(s); }
  let shift = i32(countLeadingZeros(mx)) - 8;
  mx <<= u32(shift);
  let e = ey - shift;
  // Below the least exponent the lowest bits are zero: what is left is a multiple of what the divisor is one of.
  return bitcast<f32>(s | select(mx >> u32(1 - e), (mx & 0x7fffffu) | (u32(e) << 23u), e > 0));
}

fn f_remainder(x: f32, y: f32) -> f32 {
  let m = f_fmod(x, y);
  if (f_isnan(m)) { return m; }
  if (b_abs(m) == 0u) { return f_copysign(0.0, y); }
  if (f_signbit(m) != f_signbit(y)) { return m + y; }
  return m;
}

fn f_floor_divide(dividend: f32, divisor: f32) -> f32 {
  // Two subnormals stand to each other as their bits do, which no adapter takes for zeros.
  let small = max(b_abs(dividend), b_abs(divisor)) < 0x800000u;
  let x = select(dividend, f_copysign(f32(b_abs(dividend)), dividend), small);
  let y = select(divisor, f_copysign(f32(b_abs(divisor)), divisor), small);
  if (b_abs(y) == 0u || f_isnan(x) || f_isnan(y)) { return f_divide(x, y); }
  if (f_isinf(x)) { return f_nan(); }
  let m = f_fmod(x, y);
  var d = f_divide(x - m, y);
  if (f_isinf(y)) { d = f_copysign(0.0, f_divide(x, y)); }
  if (b_abs(m) != 0u && f_signbit(m) != f_signbit(y)) { d -= 1.0; }
  if (b_abs(d) == 0u) { return f_copysign(0.0, f_divide(x, y)); }
  var q = f_floor(d);
  if (d - q > 0.5) { q += 1.0; }
  return q;
}

// ---------------------------------------------------------------- integers

fn i_floor_divide(x: i32, y: i32) -> i32 {
  if (y == 0) { return 0; }
  if (y == -1) { return -x; }
  let q = x / y;
  return q - select(0, 1, q * y != x && ((x < 0) != (y < 0)));
}

fn i_remainder(x: i32, y: i32) -> i32 {
  if (y == 0 || y == -1) { return 0; }
  let m = x % y;
  return m + select(0, y, m != 0 && ((m < 0) != (y < 0)));
}

fn u_floor_divide(x: u32, y: u32) -> u32 {
  if (y == 0u) { return 0u; }
  return x / y;
}

fn u_remainder(x: u32, y: u32) -> u32 {
  if (y == 0u) { return 0u; }
  return x % y;
}

fn u_pow(x: u32, y: u32) -> u32 {
  var r = 1u;
  var b = x;
  for (var e = y; e != 0u; e >>= 1u) {
    if ((e & 1u) == 1u) { r *= b; }
    b *= b;
  }
  return r;
}

// A negative exponent gives the truncated quotient 1 / x**-y, and 0 for x = 0.
fn i_pow(x: i32, y: i32) -> i32 {
  if (y >= 0) { return bitcast<i32>(u_pow(bitcast<u32>(x), bitcast<u32>(y))); }
  if (x == 1) { return 1; }
  if (x == -1) { return select(1, -1, (y & 1) == 1); }
  return 0;
}

fn i_left_shift(x: i32, y: i32) -> i32 { return select(x << (u32(y) & 31u), 0, u32(y) > 31u); }

fn u_left_shift(x: u32, y: u32) -> u32 { return select(x << (y & 31u), 0u, y > 31u); }

fn i_right_shift(x: i32, y: i32) -> i32 { return x >> min(u32(y), 31u); }

fn u_right_shift(x: u32, y: u32) -> u32 { return select(x >> (y & 31u), 0u, y > 31u); }

fn i_sort_key(x: i32) -> u32 { return bitcast<u32>(x) ^ 0x80000000u; }

// ---------------------------------------------------------------- casts

// Toward zero; out of range saturates, NaN is 0.
fn f_to_i32(x: f32) -> i32 {
  let low = select(i32(x), i32(-2147483647) - 1, x <= -2147483648.0);
  return select(select(low, 2147483647, x >= 2147483648.0), 0, f_isnan(x));
}

fn f_to_u32(x: f32) -> u32 {
  return select(select(u32(x), 4294967295u, x >= 4294967296.0), 0u, f_isnan(x) | (x <= 0.0));
}

// float16 bits to float32, exactly.
fn h_to_f32(h: u32) -> f32 {
  let m = h & 0x7fffu;
  let normal = (m << 13u) + select(0x38000000u, 0x70000000u, m >= 0x7c00u);
  let small = bitcast<u32>(f32(m) * 0x1p-24f);
  return bitcast<f32>(select(normal, small, m < 0x400u) | ((h & 0x8000u) << 16u));
}

// float32 to float16 bits, to nearest, ties to even.
fn f_to_f16(x: f32) -> u32 {
  let a = b_abs(x);
  let normal = (a - 0x38000000u + 0xfffu + ((a >> 13u) & 1u)) >> 13u;
  // Adding 0.5 leaves in the low bits how many units of 2**-24 there are.
  let small = bitcast<u32>(bitcast<f32>(a) + 0.5) - 0x3f000000u;
  var h = select(normal, small, a < 0x38800000u);
  h = select(h, 0x7c00u, a >= 0x477ff000u);
  h = select(h, 0x7e00u, a > 0x7f800000u);
  return h | ((bitcast<u32>(x) >> 16u) & 0x8000u);
}

// ---------------------------------------------------------------- float16, held in float32

// To the nearest float16, ties to even.
fn h_rounded(x: f32) -> f32 {
  let a = b_abs(x);
  let normal = (a + 0xfffu + ((a >> 13u) & 1u)) & 0xffffe000u;
  let small = bitcast<u32>(f32(bitcast<u32>(bitcast<f32>(a) + 0.5) - 0x3f000000u) * 0x1p-24f);
  var r = select(normal, small, a < 0x38800000u);
  r = select(r, inf_bits, a >= 0x477ff000u);
  r = select(r, a, a > 0x7f800000u);
  return bitcast<f32>(r | (bitcast<u32>(x) & 0x80000000u));
}

// Half a unit of float16 and float16 itself are the only places where rounding changes its mind. A result that WGSL gives to a few
// units of float32 is brought to the nearest of them, and then to the side of it on which the exact one lies.
fn h_nearest(x: f32) -> f32 { return bitcast<f32>((bitcast<u32>(x) + 0x800u) & 0xfffff000u); }

fn h_beside(t: f32, rest: f32) -> u32 {
  return bitcast<u32>(t) + select(0u, 1u, rest > 0.0) - select(0u, 1u, rest < 0.0);
}

fn h_divide(x: f32, y: f32) -> f32 {
  let q = f_divide(x, y);
  let t = h_nearest(f_abs(q));
  // 12 bits times 11: exact.
  let beside = h_beside(t, f_abs(x) - t * f_abs(y)) | (bitcast<u32>(q) & 0x80000000u);
  let regular = f_isfinite(x) & f_isfinite(y) & (b_abs(x) != 0u) & (b_abs(y) != 0u);
  return select(q, bitcast<f32>(beside), regular);
}

fn h_sqrt(x: f32) -> f32 {
  let root = f_sqrt(x);
  let t = h_nearest(root);
  return select(root, bitcast<f32>(h_beside(t, x - t * t)), (x > 0.0) & f_isfinite(x));
}

fn h_nextafter(x: f32, y: f32) -> f32 {
  let hx = f_to_f16(x);
  let mx = i32(hx & 0x7fffu);
  let from_order = select(mx, -mx, (hx & 0x8000u) != 0u);
  let next = from_order + select(-1, 1, f_order(y) > f_order(x));
  let stepped = h_to_f32(u32(abs(next)) | select(0u, 0x8000u, (next < 0) | ((next == 0) & (from_order < 0))));
  let moved = select(stepped, y, f_order(x) == f_order(y));
  return select(select(moved, y, f_isnan(y)), x, f_isnan(x));
}
