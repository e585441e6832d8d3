// Complex products, and the slope of z^POWER, where POWER is the importer's.
// Importer: POWER.
// Accuracy: one or two f32 roundings a part of a product.
// Source: own.

fn multiply(a: vec2f, b: vec2f) -> vec2f {
  return vec2f(fma(a.x, b.x, -a.y * b.y), fma(a.x, b.y, a.y * b.x));
}

fn slope(z: vec2f) -> vec2f {
  if (POWER == 2u) { return z + z; }
  if (POWER == 3u) { return 3.0 * multiply(z, z); }
  if (POWER == 4u) { return 4.0 * multiply(z, multiply(z, z)); }
  let w = multiply(z, z);
  return 5.0 * multiply(w, w);
}
