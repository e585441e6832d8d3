// Functions of complex numbers, real part first.
// c_ functions with the special values of C's Annex G and the array API, and NumPy's for products and quotients. No entry point, no bindings: a
// library from which the generator of fused kernels takes what an expression needs.
// NaN and infinities: tested by bit patterns, as there.
// Shapes: one element each; the generated kernel calls them in a loop over its result.
// Accuracy: 6 units in the last place of the absolute value, not of each part; c_pow loses as many as |y * log(x)| has bits. Functions that grow as
// exp do are infinite where cosh is.
// Source: W. Kahan, Branch cuts for complex elementary functions (1987): roots, inverse functions, tanh.

#import array/elementwise
#import array/transcendental

fn c_multiply(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
  return vec2<f32>(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}

fn c_square(z: vec2<f32>) -> vec2<f32> { return vec2<f32>((z.x - z.y) * (z.x + z.y), 2.0 * z.x * z.y); }

fn c_negative(z: vec2<f32>) -> vec2<f32> { return vec2<f32>(f_negative(z.x), f_negative(z.y)); }

fn c_equal(a: vec2<f32>, b: vec2<f32>) -> bool { return f_equal(a.x, b.x) & f_equal(a.y, b.y); }

fn c_isinf(z: vec2<f32>) -> bool { return f_isinf(z.x) | f_isinf(z.y); }

fn c_isfinite(z: vec2<f32>) -> bool { return f_isfinite(z.x) & f_isfinite(z.y); }

fn c_is_zero(z: vec2<f32>) -> bool { return (b_abs(z.x) | b_abs(z.y)) == 0u; }

fn c_abs(z: vec2<f32>) -> f32 { return f_hypot(z.x, z.y); }

// The power of two of the larger part, which is brought to 1 .. 2 by it; 0 where there is none.
fn c_exponent(z: vec2<f32>) -> i32 {
  let most = max(b_abs(z.x), b_abs(z.y));
  return select(max(i32(most >> 23u), 1) - 127, 0, most == 0u || most >= 0x7f800000u);
}

// Times a power of two of any size that a quotient of two numbers has.
fn c_scaled(z: vec2<f32>, exponent: i32) -> vec2<f32> {
  let half = clamp(exponent >> 1u, -126, 127);
  let rest = clamp(exponent - half, -126, 127);
  return z * bitcast<f32>(u32(half + 127) << 23u) * bitcast<f32>(u32(rest + 127) << 23u);
}

fn c_divide(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
  if (c_is_zero(b)) { return vec2<f32>(f_divide(a.x, 0.0), f_divide(a.y, 0.0)); }
  if (c_isinf(b) && c_isfinite(a)) { return vec2<f32>(0.0, 0.0); }
  let ea = c_exponent(a);
  let eb = c_exponent(b);
  let n = c_scaled(a, -ea);
  let d = c_scaled(b, -eb);
  return c_scaled(vec2<f32>(n.x * d.x + n.y * d.y, n.y * d.x - n.x * d.y) / dot(d, d), ea - eb);
}

fn c_reciprocal(z: vec2<f32>) -> vec2<f32> { return c_divide(vec2<f32>(1.0, 0.0), z); }

fn c_sign(z: vec2<f32>) -> vec2<f32> {
  if (c_is_zero(z)) { return vec2<f32>(0.0, 0.0); }
  let unit = c_scaled(z, -c_exponent(z));
  return unit / f_hypot(unit.x, unit.y);
}

fn c_sqrt(z: vec2<f32>) -> vec2<f32> {
  if (c_is_zero(z)) { return vec2<f32>(0.0, z.y); }
  if (f_isinf(z.y)) { return vec2<f32>(f_inf(), z.y); }
  if (f_isinf(z.x)) {
    let other = select(f_copysign(0.0, z.y), z.y, f_isnan(z.y));
    if (f_signbit(z.x)) { return vec2<f32>(f_abs(other), f_copysign(f_inf(), z.y)); }
    return vec2<f32>(f_inf(), other);
  }
  let exponent = c_exponent(z) & -2;
  let w = c_scaled(z, -exponent);
  let root = f_sqrt(0.5 * (f_abs(w.x) + f_hypot(w.x, w.y)));
  let other = f_abs(w.y) / (2.0 * root);
  let parts = select(vec2<f32>(root, other), vec2<f32>(other, root), f_signbit(w.x));
  return c_scaled(vec2<f32>(parts.x, f_copysign(parts.y, z.y)), exponent >> 1u);
}

// ---------------------------------------------------------------- exp, log, pow

fn c_exp(z: vec2<f32>) -> vec2<f32> {
  if (b_abs(z.y) == 0u) { return vec2<f32>(f_exp(z.x), z.y); }
  if (f_isinf(z.x)) {
    if (f_signbit(z.x)) { return select(vec2<f32>(), vec2<f32>(f_copysign(0.0, f_cos(z.y)), f_copysign(0.0, f_sin(z.y))), f_isfinite(z.y)); }
    if (!f_isfinite(z.y)) { return vec2<f32>(z.x, f_nan()); }
    return vec2<f32>(f_copysign(z.x, f_cos(z.y)), f_copysign(z.x, f_sin(z.y)));
  }
  // The square of a root: the exponential may be beyond float32 where its parts are not.
  let root = f_exp(0.5 * z.x);
  return vec2<f32>(root * (root * f_cos(z.y)), root * (root * f_sin(z.y)));
}

fn c_expm1(z: vec2<f32>) -> vec2<f32> {
  if (c_is_zero(z)) { return vec2<f32>(0.0, z.y); }
  if (f_abs(z.x) > 1.0 || !c_isfinite(z)) { return c_exp(z) - vec2<f32>(1.0, 0.0); }
  let s = f_sin(0.5 * z.y);
  return vec2<f32>(f_expm1(z.x) * f_cos(z.y) - 2.0 * s * s, f_exp(z.x) * f_sin(z.y));
}

fn c_log(z: vec2<f32>) -> vec2<f32> {
  let angle = f_atan2(z.y, z.x);
  let a = max(b_abs(z.x), b_abs(z.y));
  if (a >= 0x7f800000u) { return vec2<f32>(f_log(f_hypot(z.x, z.y)), angle); }
  // Between 1/2 and 2, where the logarithm is small, by what the square of the absolute value has beyond 1.
  let big = bitcast<f32>(a);
  let small = bitcast<f32>(min(b_abs(z.x), b_abs(z.y)));
  if (big > 0.5 && big < 1.5) { return vec2<f32>(0.5 * f_log1p((big - 1.0) * (big + 1.0) + small * small), angle); }
  let exponent = c_exponent(z);
  let w = c_scaled(z, -exponent);
  return vec2<f32>(f_log(f_hypot(w.x, w.y)) + f32(exponent) * 0.693147181, angle);
}

fn c_log1p(z: vec2<f32>) -> vec2<f32> {
  if (f_abs(z.x) > 0.5 || f_abs(z.y) > 0.5 || !c_isfinite(z)) { return c_log(vec2<f32>(1.0 + z.x, z.y)); }
  return vec2<f32>(0.5 * f_log1p(z.x * (2.0 + z.x) + z.y * z.y), f_atan2(z.y, 1.0 + z.x));
}

fn c_log2(z: vec2<f32>) -> vec2<f32> { return c_log(z) * 1.44269504; }

fn c_log10(z: vec2<f32>) -> vec2<f32> { return c_log(z) * 0.434294482; }

// Whole powers up to 100 by products, as in NumPy.
fn c_pow(x: vec2<f32>, y: vec2<f32>) -> vec2<f32> {
  if (c_is_zero(y)) { return vec2<f32>(1.0, 0.0); }
  if (c_is_zero(x)) {
    if (y.x > 0.0) { return vec2<f32>(0.0, 0.0); }
    return vec2<f32>(f_nan(), f_nan());
  }
  if (b_abs(y.y) == 0u && f_abs(y.x) <= 100.0 && f_trunc(y.x) == y.x) {
    var r = vec2<f32>(1.0, 0.0);
    var b = x;
    for (var e = u32(f_abs(y.x)); e != 0u; e >>= 1u) {
      if ((e & 1u) == 1u) { r = c_multiply(r, b); }
      b = c_multiply(b, b);
    }
    if (f_signbit(y.x)) { return c_reciprocal(r); }
    return r;
  }
  return c_exp(c_multiply(y, c_log(x)));
}

// ---------------------------------------------------------------- circular and hyperbolic functions

fn c_sinh(z: vec2<f32>) -> vec2<f32> {
  if (b_abs(z.y) == 0u) { return vec2<f32>(f_sinh(z.x), z.y); }
  if (!f_isfinite(z.y)) {
    return vec2<f32>(select(select(f_nan(), f_inf(), f_isinf(z.x)), z.x, b_abs(z.x) == 0u), f_nan());
  }
  return vec2<f32>(f_sinh(z.x) * f_cos(z.y), f_cosh(z.x) * f_sin(z.y));
}

fn c_cosh(z: vec2<f32>) -> vec2<f32> {
  if (b_abs(z.y) == 0u) { return vec2<f32>(f_cosh(z.x), f_copysign(0.0, f_sinh(z.x)) * f_copysign(1.0, z.y)); }
  if (!f_isfinite(z.y)) {
    return vec2<f32>(select(f_nan(), f_inf(), f_isinf(z.x)), select(f_nan(), 0.0, b_abs(z.x) == 0u));
  }
  return vec2<f32>(f_cosh(z.x) * f_cos(z.y), f_sinh(z.x) * f_sin(z.y));
}

fn c_tanh(z: vec2<f32>) -> vec2<f32> {
  if (b_abs(z.y) == 0u) { return vec2<f32>(f_tanh(z.x), z.y); }
  if (f_isfinite(z.x) && !f_isfinite(z.y)) { return vec2<f32>(select(f_nan(), z.x, b_abs(z.x) == 0u), f_nan()); }
  if (f_isinf(z.x)) { return vec2<f32>(f_copysign(1.0, z.x), f_copysign(0.0, z.y)); }
  if (f_abs(z.x) > 9.5) {
    let size = f_exp(-f_abs(z.x));
    return vec2<f32>(f_copysign(1.0, z.x), size * (size * 4.0 * f_sin(z.y) * f_cos(z.y)));
  }
  let t = f_tan(z.y);
  let beta = 1.0 + t * t;
  let s = f_sinh(z.x);
  let below = 1.0 + beta * s * s;
  // A tangent beyond float32's root: only its size counts.
  if (f_abs(t) > 1e15) { return vec2<f32>(f_divide(f_cosh(z.x), s), f_divide(1.0, t * s * s)); }
  return vec2<f32>(beta * f_cosh(z.x) * s / below, t / below);
}

fn c_sin(z: vec2<f32>) -> vec2<f32> {
  let w = c_sinh(vec2<f32>(f_negative(z.y), z.x));
  return vec2<f32>(w.y, f_negative(w.x));
}

fn c_cos(z: vec2<f32>) -> vec2<f32> { return c_cosh(vec2<f32>(f_negative(z.y), z.x)); }

fn c_tan(z: vec2<f32>) -> vec2<f32> {
  let w = c_tanh(vec2<f32>(f_negative(z.y), z.x));
  return vec2<f32>(w.y, f_negative(w.x));
}

// ---------------------------------------------------------------- their inverses

fn c_asin(z: vec2<f32>) -> vec2<f32> {
  if (c_isinf(z)) { return vec2<f32>(f_atan2(z.x, f_abs(z.y)), f_copysign(f_inf(), z.y)); }
  if (b_abs(z.x) == 0u && f_isnan(z.y)) { return z; }
  let a = c_sqrt(vec2<f32>(1.0 - z.x, f_negative(z.y)));
  let b = c_sqrt(vec2<f32>(1.0 + z.x, z.y));
  return vec2<f32>(f_atan2(z.x, a.x * b.x - a.y * b.y), f_copysign(f_asinh(a.x * b.y - a.y * b.x), z.y));
}

fn c_acos(z: vec2<f32>) -> vec2<f32> {
  if (c_isinf(z)) { return vec2<f32>(f_atan2(f_abs(z.y), z.x), f_copysign(f_inf(), f_negative(z.y))); }
  if (b_abs(z.x) == 0u && f_isnan(z.y)) { return vec2<f32>(1.57079633, z.y); }
  let a = c_sqrt(vec2<f32>(1.0 - z.x, f_negative(z.y)));
  let b = c_sqrt(vec2<f32>(1.0 + z.x, z.y));
  return vec2<f32>(2.0 * f_atan2(a.x, b.x), f_copysign(f_asinh(b.x * a.y - b.y * a.x), f_negative(z.y)));
}

fn c_asinh(z: vec2<f32>) -> vec2<f32> {
  let w = c_asin(vec2<f32>(f_negative(z.y), z.x));
  return vec2<f32>(w.y, f_negative(w.x));
}

fn c_acosh(z: vec2<f32>) -> vec2<f32> {
  if (c_isinf(z)) { return vec2<f32>(f_inf(), f_atan2(z.y, z.x)); }
  if (b_abs(z.x) == 0u && f_isnan(z.y)) { return vec2<f32>(z.y, 1.57079633); }
  let a = c_sqrt(vec2<f32>(z.x - 1.0, z.y));
  let b = c_sqrt(vec2<f32>(z.x + 1.0, z.y));
  return vec2<f32>(f_asinh(a.x * b.x + a.y * b.y), 2.0 * f_atan2(a.y, b.x));
}

fn c_atanh(z: vec2<f32>) -> vec2<f32> {
  let x = f_abs(z.x);
  let y = f_copysign(1.0, z.x) * z.y;
  var w = vec2<f32>(0.0, f_copysign(1.57079633, y));
  if (max(b_abs(x), b_abs(y)) > 0x7f800000u) {
    w = vec2<f32>(select(f_nan(), 0.0, (b_abs(x) == 0u) | f_isinf(x) | f_isinf(y)), select(f_nan(), w.y, f_isinf(y)));
  } else if (max(x, f_abs(y)) < 1e18) {
    w = vec2<f32>(0.25 * f_log1p(f_divide(4.0 * x, (1.0 - x) * (1.0 - x) + y * y)), 0.5 * f_atan2(2.0 * y, (1.0 - x) * (1.0 + x) - y * y));
  } else {
    let far = c_reciprocal(vec2<f32>(x, y));
    w.x = far.x;
  }
  return select(w, c_negative(w), f_signbit(z.x));
}

fn c_atan(z: vec2<f32>) -> vec2<f32> {
  let w = c_atanh(vec2<f32>(f_negative(z.y), z.x));
  return vec2<f32>(w.y, f_negative(w.x));
}
