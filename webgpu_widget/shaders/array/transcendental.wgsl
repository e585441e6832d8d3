// Elementwise functions of arrays: exponentials, logarithms, trigonometry and powers.
// Scalar functions on float32 with NumPy's special cases. No entry point, no bindings: a library from which the generator of fused kernels takes what
// an expression needs.
// Shapes: one element each; the generated kernel calls them in a loop over its result.
// Accuracy: 2 ulp for exp log sin cos tan and their family (sin cos tan reduce large arguments exactly, by Payne and Hanek), pow 2 ulp, erf 2e-7.
// WGSL's own sin may be off by 2**-11, its pow by thousands of ulp.
// Source: Cephes single-precision library (S. Moshier), fdlibm (Sun), W. H. Press et al., Numerical Recipes (erfc).

#import shared/floats

// ---------------------------------------------------------------- exponentials

// x * 2**n for -300 < n < 300, in two steps that do not overflow on the way.
fn f_scale(x: f32, n: i32) -> f32 {
  let h = clamp(n / 2, -126, 127);
  let l = clamp(n - h, -126, 127);
  return x * bitcast<f32>(u32(h + 127) << 23u) * bitcast<f32>(u32(l + 127) << 23u);
}

// exp(r) - 1 - r over r * r, for |r| <= 0.35.
fn f_exp_core(r: f32) -> f32 {
  var p = 1.9875691500e-4;
  p = fma(p, r, 1.3981999507e-3);
  p = fma(p, r, 8.3334519073e-3);
  p = fma(p, r, 4.1665795894e-2);
  p = fma(p, r, 1.6666665459e-1);
  return fma(p, r, 5.0000001201e-1);
}

// exp(x) * 2**k.
fn f_exp_scaled(x: f32, k: i32) -> f32 {
  if (f_isnan(x)) { return x; }
  if (x > 90.0) { return f_inf(); }
  if (x < -105.0) { return 0.0; }
  let n = floor(fma(x, 1.44269504, 0.5));
  let r = fma(-n, -2.12194440e-4, fma(-n, 0.693359375, x));
  let y = fma(f_exp_core(r), r * r, r) + 1.0;
  let e = i32(n) + k;
  if (e > 127 && (e > 128 || y >= 2.0)) { return f_inf(); }
  return f_scale(y, e);
}

fn f_exp(x: f32) -> f32 { return f_exp_scaled(x, 0); }

// exp(x) where x is not above 0, by the adapter's exp2 of at most a half: within 6 units of the last place, and 0 for what is below the normal numbers.
fn f_exp_below(x: f32) -> f32 {
  let c = max(x, -87.3);
  let n = floor(fma(c, 1.44269504, 0.5));
  let r = fma(-n, -2.12194440e-4, fma(-n, 0.693359375, c));
  let y = exp2(r * 1.44269504) * bitcast<f32>(u32(i32(n) + 127) << 23u);
  return select(select(y, 0.0, x < -87.3), x, f_isnan(x));
}

fn f_expm1(x: f32) -> f32 {
  if (b_abs(x) == 0u) { return x; }
  if (b_abs(x) < 0x3eb00000u) { return fma(f_exp_core(x), x * x, x); }
  return f_exp_scaled(x, 0) - 1.0;
}

fn f_sinh(x: f32) -> f32 {
  if (f_isnan(x) || b_abs(x) == 0u) { return x; }
  let a = f_abs(x);
  if (a < 1.0) {
    let z = x * x;
    let p = fma(fma(2.03721912945e-4, z, 8.33028376239e-3), z, 1.66667160211e-1);
    return fma(p * z, x, x);
  }
  let e = f_exp_scaled(a, -1);
  return f_copysign(e - select(0.25 / e, 0.0, a > 20.0), x);
}

fn f_cosh(x: f32) -> f32 {
  if (f_isnan(x)) { return x; }
  let a = f_abs(x);
  let e = f_exp_scaled(a, -1);
  return e + select(0.25 / e, 0.0, a > 20.0);
}

fn f_tanh(x: f32) -> f32 {
  if (f_isnan(x) || b_abs(x) == 0u) { return x; }
  let a = f_abs(x);
  if (a > 9.1) { return f_copysign(1.0, x); }
  if (a < 0.625) {
    let z = x * x;
    var p = fma(-5.70498872745e-3, z, 2.06390887954e-2);
    p = fma(p, z, -5.37397155531e-2);
    p = fma(p, z, 1.33314422036e-1);
    p = fma(p, z, -3.33332819422e-1);
    return fma(p * z, x, x);
  }
  return f_copysign(1.0 - 2.0 / (f_exp_scaled(a + a, 0) + 1.0), x);
}

// ---------------------------------------------------------------- logarithms

// Exponent and mantissa of a positive finite number: x = m * 2**e, sqrt(1/2) <= m < sqrt(2). Returns (m - 1, e).
fn f_log_split(x: f32) -> vec2<f32> {
  var bits = bitcast<u32>(x);
  var e = 0;
  if (bits < 0x800000u) {
    bits = bitcast<u32>(f32(bits));
    e = -149;
  }
  let over = select(0u, 1u, (bits & 0x7fffffu) >= 0x3504f3u);
  e += i32(bits >> 23u) - 127 + i32(over);
  let m = bitcast<f32>((bits & 0x7fffffu) | ((127u - over) << 23u));
  return vec2<f32>(m - 1.0, f32(e));
}

// log(1 + z) - z for 1 + z between sqrt(1/2) and sqrt(2).
fn f_log_core(z: f32) -> f32 {
  var p = fma(7.0376836292e-2, z, -1.1514610310e-1);
  p = fma(p, z, 1.1676998740e-1);
  p = fma(p, z, -1.2420140846e-1);
  p = fma(p, z, 1.4249322787e-1);
  p = fma(p, z, -1.6668057665e-1);
  p = fma(p, z, 2.0000714765e-1);
  p = fma(p, z, -2.4999993993e-1);
  p = fma(p, z, 3.3333331174e-1);
  let s = z * z;
  return fma(p * z, s, -0.5 * s);
}

// What log gives where x is not positive and finite; x itself otherwise.
fn f_log_special(x: f32) -> f32 {
  if (b_abs(x) == 0u) { return bitcast<f32>(inf_bits | 0x80000000u); }
  if (f_isnan(x)) { return x; }
  return f_nan();
}

fn f_log_regular(x: f32) -> bool { return bitcast<u32>(x) - 1u < 0x7f7fffffu; }

fn f_log(x: f32) -> f32 {
  if (bitcast<u32>(x) == inf_bits) { return x; }
  if (!f_log_regular(x)) { return f_log_special(x); }
  let s = f_log_split(x);
  return fma(s.y, 0.693359375, s.x + fma(s.y, -2.12194440e-4, f_log_core(s.x)));
}

fn f_log1p(x: f32) -> f32 {
  if (b_abs(x) == 0u) { return x; }
  if (x > -0.29 && x < 0.41) { return x + f_log_core(x); }
  return f_log(1.0 + x);
}

fn f_log2(x: f32) -> f32 {
  if (bitcast<u32>(x) == inf_bits) { return x; }
  if (!f_log_regular(x)) { return f_log_special(x); }
  let s = f_log_split(x);
  let y = f_log_core(s.x);
  return fma(y, 0.44269504088896340736, s.x * 0.44269504088896340736) + y + s.x + s.y;
}

fn f_log10(x: f32) -> f32 {
  if (bitcast<u32>(x) == inf_bits) { return x; }
  if (!f_log_regular(x)) { return f_log_special(x); }
  let s = f_log_split(x);
  let y = f_log_core(s.x);
  var z = (s.x + y) * 7.00731903251827651129e-4;
  z = fma(y, 4.3359375e-1, z);
  z = fma(s.x, 4.3359375e-1, z);
  z = fma(s.y, 2.48745663981195213739e-4, z);
  return fma(s.y, 3.0078125e-1, z);
}

fn f_logaddexp(x: f32, y: f32) -> f32 {
  if (f_isnan(x)) { return x; }
  if (f_isnan(y)) { return y; }
  if (f_order(x) == f_order(y)) { return x + 0.6931471805599453; }
  let hi = f_maximum(x, y);
  let lo = f_minimum(x, y);
  if (f_isinf(hi) || f_isinf(lo)) { return select(hi, 0.0, b_abs(hi) == 0u); }
  return hi + f_log1p(f_exp_scaled(lo - hi, 0));
}

fn f_asinh(x: f32) -> f32 {
  if (!f_isfinite(x) || b_abs(x) == 0u) { return x; }
  let a = f_abs(x);
  if (a < 0.5) {
    let z = x * x;
    var p = fma(2.0122003309e-2, z, -4.2699340972e-2);
    p = fma(p, z, 7.4847586088e-2);
    p = fma(p, z, -1.6666288134e-1);
    return fma(p * z, x, x);
  }
  if (a > 1500.0) { return f_copysign(f_log(a) + 0.6931471805599453, x); }
  return f_copysign(f_log(a + sqrt(fma(a, a, 1.0))), x);
}

fn f_acosh(x: f32) -> f32 {
  if (f_isnan(x)) { return x; }
  if (x < 1.0) { return f_nan(); }
  if (f_isinf(x)) { return x; }
  if (x > 1500.0) { return f_log(x) + 0.6931471805599453; }
  let z = x - 1.0;
  if (z < 0.5) {
    var p = fma(1.7596881071e-3, z, -7.5272886713e-3);
    p = fma(p, z, 2.6454905019e-2);
    p = fma(p, z, -1.1784741703e-1);
    p = fma(p, z, 1.4142135263);
    return p * sqrt(z);
  }
  return f_log(x + sqrt(z * (x + 1.0)));
}

fn f_atanh(x: f32) -> f32 {
  if (f_isnan(x) || b_abs(x) == 0u) { return x; }
  let a = f_abs(x);
  if (a > 1.0) { return f_nan(); }
  if (a == 1.0) { return f_copysign(f_inf(), x); }
  if (a < 0.5) {
    let z = x * x;
    var p = fma(1.81740078349e-1, z, 8.24370301058e-2);
    p = fma(p, z, 1.46691431730e-1);
    p = fma(p, z, 1.99782164500e-1);
    p = fma(p, z, 3.33337300303e-1);
    return fma(p * z, x, x);
  }
  return f_copysign(0.5 * f_log((1.0 + a) / (1.0 - a)), x);
}

// ---------------------------------------------------------------- trigonometry

fn u_mul_wide(a: u32, b: u32) -> vec2<u32> {
  let al = a & 0xffffu;
  let ah = a >> 16u;
  let bl = b & 0xffffu;
  let bh = b >> 16u;
  let ll = al * bl;
  let m = ah * bl + (ll >> 16u);
  let n = al * bh + (m & 0xffffu);
  return vec2<u32>(a * b, ah * bh + (m >> 16u) + (n >> 16u));
}

var<private> two_over_pi: array<u32, 9> = array<u32, 9>(
  0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu, 0xdebbc561u);

fn u_two_over_pi(bit: u32) -> u32 {
  let w = bit >> 5u;
  let s = bit & 31u;
  if (s == 0u) { return two_over_pi[w]; }
  return (two_over_pi[w] << s) | (two_over_pi[w + 1u] >> (32u - s));
}

// x = quadrant * pi/2 + r, |r| <= pi/4. Returns (r, quadrant mod 4).
fn f_reduce(x: f32) -> vec2<f32> {
  let a = f_abs(x);
  if (a < 8192.0) {
    let k = round(x * 0.636619772);
    let r = fma(-k, 7.54978995489188216e-8, fma(-k, 4.837512969970703125e-4, fma(-k, 1.5703125, x)));
    return vec2<f32>(r, f32(i32(k) & 3));
  }
  // Payne and Hanek: 96 bits of 2/pi, from where they no longer count whole turns.
  let bits = bitcast<u32>(a);
  let m = (bits & 0x7fffffu) | 0x800000u;
  let first = (bits >> 23u) - 150u + 30u;
  let w0 = m * u_two_over_pi(first);
  let w1 = u_mul_wide(m, u_two_over_pi(first + 32u));
  let w2 = u_mul_wide(m, u_two_over_pi(first + 64u));
  let mid = w1.x + w2.y;
  let top = w0 + w1.y + select(0u, 1u, mid < w1.x);
  var q = top >> 30u;
  var hi = (top << 2u) | (mid >> 30u);
  var lo = mid << 2u;
  let negative = (hi >> 31u) != 0u;
  if (negative) {
    q += 1u;
    lo = ~lo + 1u;
    hi = ~hi + select(0u, 1u, lo == 0u);
  }
  let z = countLeadingZeros(hi);
  var head = hi;
  if (z >= 32u) { head = lo; } else if (z > 0u) { head = (hi << z) | (lo >> (32u - z)); }
  var r = f32(head) * bitcast<f32>((127u - 32u - z) << 23u) * 1.57079632679;
  if (negative != f_signbit(x)) { r = -r; }
  if (f_signbit(x)) { q = 0u - q; }
  return vec2<f32>(r, f32(q & 3u));
}

fn f_sin_core(r: f32) -> f32 {
  let z = r * r;
  let p = fma(fma(-1.9515295891e-4, z, 8.3321608736e-3), z, -1.6666654611e-1);
  return fma(p * z, r, r);
}

fn f_cos_core(r: f32) -> f32 {
  let z = r * r;
  let p = fma(fma(2.443315711809948e-5, z, -1.388731625493765e-3), z, 4.166664568298827e-2);
  return fma(p * z, z, fma(-0.5, z, 1.0));
}

fn f_sin(x: f32) -> f32 {
  if (!f_isfinite(x)) { return f_nan(); }
  if (b_abs(x) < 0x39800000u) { return x; }
  let s = f_reduce(x);
  let q = u32(s.y);
  let y = select(f_sin_core(s.x), f_cos_core(s.x), (q & 1u) == 1u);
  return select(y, -y, (q & 2u) == 2u);
}

fn f_cos(x: f32) -> f32 {
  if (!f_isfinite(x)) { return f_nan(); }
  let s = f_reduce(x);
  let q = u32(s.y) + 1u;
  let y = select(f_sin_core(s.x), f_cos_core(s.x), (q & 1u) == 1u);
  return select(y, -y, (q & 2u) == 2u);
}

fn f_tan(x: f32) -> f32 {
  if (!f_isfinite(x)) { return f_nan(); }
  if (b_abs(x) < 0x39800000u) { return x; }
  let s = f_reduce(x);
  let z = s.x * s.x;
  var p = fma(9.38540185543e-3, z, 3.11992232697e-3);
  p = fma(p, z, 2.44301354525e-2);
  p = fma(p, z, 5.34112807005e-2);
  p = fma(p, z, 1.33387994085e-1);
  p = fma(p, z, 3.33331568548e-1);
  let y = fma(p * z, s.x, s.x);
  if ((u32(s.y) & 1u) == 1u) { return f_divide(-1.0, y); }
  return y;
}

fn f_asin(x: f32) -> f32 {
  let a = f_abs(x);
  if (f_isnan(x) || b_abs(x) > 0x3f800000u) { return f_nan(); }
  let far = a > 0.5;
  let z = select(a * a, 0.5 * (1.0 - a), far);
  let t = select(a, sqrt(z), far);
  var p = fma(4.2163199048e-2, z, 2.4181311049e-2);
  p = fma(p, z, 4.5470025998e-2);
  p = fma(p, z, 7.4953002686e-2);
  p = fma(p, z, 1.6666752422e-1);
  let y = fma(p * z, t, t);
  return f_copysign(select(y, fma(-2.0, y, 1.5707963267948966), far), x);
}

fn f_acos(x: f32) -> f32 {
  if (f_isnan(x) || b_abs(x) > 0x3f800000u) { return f_nan(); }
  if (x < -0.5) { return 3.14159265358979 - 2.0 * f_asin(sqrt(0.5 * (1.0 + x))); }
  if (x > 0.5) { return 2.0 * f_asin(sqrt(0.5 * (1.0 - x))); }
  return 1.5707963267948966 - f_asin(x);
}

fn f_atan(x: f32) -> f32 {
  if (f_isnan(x)) { return x; }
  var a = f_abs(x);
  var y = 0.0;
  if (a > 2.414213562373095) {
    y = 1.5707963267948966;
    a = select(-1.0 / a, 0.0, b_abs(a) > 0x7e000000u);
  } else if (a > 0.4142135623730950) {
    y = 0.7853981633974483;
    a = (a - 1.0) / (a + 1.0);
  }
  let z = a * a;
  var p = fma(8.05374449538e-2, z, -1.38776856032e-1);
  p = fma(p, z, 1.99777106478e-1);
  p = fma(p, z, -3.33329491539e-1);
  return f_copysign(y + fma(p * z, a, a), x);
}

fn f_atan2(y: f32, x: f32) -> f32 {
  if (f_isnan(x)) { return x; }
  if (f_isnan(y)) { return y; }
  var a = 0.0;
  if (f_isinf(x) && f_isinf(y)) {
    a = 0.7853981633974483;
  } else if (b_abs(y) == 0u) {
    a = 0.0;
  } else if (b_abs(x) == 0u) {
    a = 1.5707963267948966;
  } else if (max(b_abs(x), b_abs(y)) < 0x800000u) {
    // Two subnormals stand to each other as their bits do, which no adapter takes for zeros.
    a = f_atan(f32(b_abs(y)) / f32(b_abs(x)));
  } else {
    a = f_atan(f_divide(f_abs(y), f_abs(x)));
  }
  if (f_signbit(x)) { a = 3.14159265358979 - a; }
  return f_copysign(a, y);
}

fn f_hypot(x: f32, y: f32) -> f32 {
  if (f_isinf(x) || f_isinf(y)) { return f_inf(); }
  if (f_isnan(x)) { return x; }
  if (f_isnan(y)) { return y; }
  let hi = max(f_abs(x), f_abs(y));
  let lo = min(f_abs(x), f_abs(y));
  if (hi == 0.0) { return 0.0; }
  let s = select(select(1.0, 0x1p-70f, hi > 0x1p60f), 0x1p70f, hi < 0x1p-50f);
  let a = hi * s;
  let b = lo * s;
  return sqrt(fma(a, a, b * b)) * (1.0 / s);
}

fn f_erf(x: f32) -> f32 {
  if (f_isnan(x)) { return x; }
  let a = f_abs(x);
  if (a < 0.84375) {
    let z = x * x;
    var p = fma(-2.37630166566501626084e-5, z, -5.77027029648944159157e-3);
    p = fma(p, z, -2.84817495755985104766e-2);
    p = fma(p, z, -3.25042107247001499370e-1);
    p = fma(p, z, 1.28379167095512558561e-1);
    var q = fma(1.32494738004321644526e-4, z, 5.08130628187576562776e-3);
    q = fma(q, z, 6.50222499887672944485e-2);
    q = fma(q, z, 3.97917223959155352819e-1);
    q = fma(q, z, 1.0);
    return fma(x, p / q, x);
  }
  if (a > 4.0) { return f_copysign(1.0, x); }
  let t = 1.0 / fma(0.5, a, 1.0);
  var p = fma(0.17087277, t, -0.82215223);
  p = fma(p, t, 1.48851587);
  p = fma(p, t, -1.13520398);
  p = fma(p, t, 0.27886807);
  p = fma(p, t, -0.18628806);
  p = fma(p, t, 0.09678418);
  p = fma(p, t, 0.37409196);
  p = fma(p, t, 1.00002368);
  p = fma(p, t, -1.26551223);
  return f_copysign(1.0 - t * f_exp_scaled(fma(-a, a, p), 0), x);
}

// ---------------------------------------------------------------- power

fn f_head(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) & 0xfffff000u); }

// |x| ** y for positive finite x that is not 1 and finite y; log2 in two floats, the second one 12 bits below.
fn f_pow_positive(x: f32, y: f32) -> f32 {
  var bits = bitcast<u32>(x);
  var n = 0;
  if (bits < 0x800000u) {
    bits = bitcast<u32>(f32(bits));
    n = -149;
  }
  n += i32(bits >> 23u) - 127;
  let j = bits & 0x7fffffu;
  var ix = j | 0x3f800000u;
  var k = 0u;
  if (j >= 0x1cc472u && j < 0x5db3d7u) { k = 1u; } else if (j >= 0x5db3d7u) { n += 1; ix -= 0x800000u; }
  let ax = bitcast<f32>(ix);
  let bp = select(1.0, 1.5, k == 1u);
  let dp_h = select(0.0, 5.84960938e-1, k == 1u);
  let dp_l = select(0.0, 1.56322085e-6, k == 1u);
  let u0 = ax - bp;
  let v0 = 1.0 / (ax + bp);
  let s = u0 * v0;
  let s_h = f_head(s);
  let t_h0 = bitcast<f32>((((ix >> 1u) & 0xfffff000u) | 0x20000000u) + 0x400000u + (k << 21u));
  let t_l0 = ax - (t_h0 - bp);
  let s_l = v0 * ((u0 - s_h * t_h0) - s_h * t_l0);
  let s2 = s * s;
  var r = fma(2.0697501302e-1, s2, 2.3066075146e-1);
  r = fma(r, s2, 2.7272811532e-1);
  r = fma(r, s2, 3.3333334327e-1);
  r = fma(r, s2, 4.2857143283e-1);
  r = fma(r, s2, 6.0000002384e-1);
  r = s2 * s2 * r + s_l * (s_h + s);
  let q2 = s_h * s_h;
  let t_h = f_head(3.0 + q2 + r);
  let t_l = r - ((t_h - 3.0) - q2);
  let u = s_h * t_h;
  let v = s_l * t_h + t_l * s;
  let p_h = f_head(u + v);
  let p_l = v - (p_h - u);
  let z_h = 9.6191406250e-1 * p_h;
  let z_l = -1.1736857402e-4 * p_h + p_l * 9.6179670095e-1 + dp_l;
  let e = f32(n);
  let t1 = f_head(((z_h + z_l) + dp_h) + e);
  let t2 = z_l - (((t1 - e) - dp_h) - z_h);
  let y_h = f_head(y);
  let w_l = (y - y_h) * t1 + y * t2;
  let w_h = y_h * t1;
  let z = w_l + w_h;
  if (b_abs(z) >= 0x43170000u) { return select(f_inf(), 0.0, f_signbit(z)); }
  let whole = round(w_h);
  let g_h = w_h - whole;
  let t = bitcast<f32>(bitcast<u32>(w_l + g_h) & 0xffff8000u);
  let a = t * 6.93145752e-1;
  let b = (w_l - (t - g_h)) * 6.9314718246e-1 + t * 1.42860654e-6;
  let c = a + b;
  let d = b - (c - a); // safe here, because without it the result is off by half a unit in the last place more
  let h = c * c;
  var m = fma(4.1381369442e-8, h, -1.6533901999e-6);
  m = fma(m, h, 6.6137559770e-5);
  m = fma(m, h, -2.7777778450e-3);
  m = fma(m, h, 1.6666667163e-1);
  m = c - h * m;
  let o = (c * m) / (m - 2.0) - (d + c * d);
  let result = 1.0 - (o - c);
  let i = i32(whole);
  if (i > 127 && (i > 128 || result >= 1.0)) { return f_inf(); }
  return f_scale(result, i);
}

fn f_pow(x: f32, y: f32) -> f32 {
  let ax = b_abs(x);
  let ay = b_abs(y);
  if (ay == 0u || bitcast<u32>(x) == 0x3f800000u) { return 1.0; }
  if (ax > 0x7f800000u) { return x; }
  if (ay > 0x7f800000u) { return y; }
  // 0: y is no integer, 1: odd, 2: even.
  var kind = 0u;
  if (ay >= 0x4b800000u) {
    kind = 2u;
  } else if (ay >= 0x3f800000u) {
    let shift = 150u - (ay >> 23u);
    let whole = ((ay & 0x7fffffu) | 0x800000u);
    if (((whole >> shift) << shift) == whole) { kind = 2u - ((whole >> shift) & 1u); }
  }
  let negative = f_signbit(x);
  let s = select(0u, 0x80000000u, negative && kind == 1u);
  if (ay == 0x7f800000u) {
    if (ax == 0x3f800000u) { return 1.0; }
    return select(0.0, f_inf(), (ax > 0x3f800000u) != f_signbit(y));
  }
  if (ax == 0u || ax == 0x7f800000u) {
    return bitcast<f32>(select(0u, inf_bits, (ax == 0u) == f_signbit(y)) | s);
  }
  if (negative && kind == 0u) { return f_nan(); }
  if (ax == 0x3f800000u) { return bitcast<f32>(0x3f800000u | s); }
  if (bitcast<u32>(y) == 0x3f800000u) { return x; }
  if (bitcast<u32>(y) == 0x40000000u) { return x * x; }
  return bitcast<f32>(bitcast<u32>(f_pow_positive(bitcast<f32>(ax), y)) | s);
}
