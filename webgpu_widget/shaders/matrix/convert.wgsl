// Copy a strided batch of matrices into another, padded with zeros, between float32 and float16.
// Shapes: x any strides (elements) -> y (outer, inner, out_rows, out_cols), tight where it is float16, else of any strides. float16 is two to a
// u32, so no shader-f16 is needed.
// Dispatch: one invocation per u32 of y, 256 a workgroup, folded over x and y.
// Accuracy: exact, or one rounding to nearest even where float32 becomes float16: 65520 and more are infinite, NaN stays NaN.
// Source: IEEE 754 binary16, in integers: pack2x16float may spill what float16 cannot hold into the other half, and a pair of pack2x16float
// and unpack2x16float is one that a driver may leave out.

override X_HALF = 0u; // x is float16
override Y_HALF = 0u; // y is float16
override ROUND = 0u;  // float32 to float32, rounded to float16 on the way
override ADD = 0u;    // add to a float32 y

struct Params {
  rows: u32,
  cols: u32,
  out_rows: u32,
  out_cols: u32,
  inner: u32,
  x_offset: u32,
  x_row: u32,
  x_col: u32,
  x_outer: u32,
  x_inner: u32,
  words: u32,
  total: u32,
  y_offset: u32,
  y_row: u32,
  y_col: u32,
  y_outer: u32,
  y_inner: u32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

// The bits of the nearest float16, ties to even.
fn to_half(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let a = bits & 0x7fffffffu;
  let normal = (a - 0x38000000u + 0xfffu + ((a >> 13u) & 1u)) >> 13u;
  // Adding 0.5 leaves in the low bits how many units of 2**-24 there are.
  let small = bitcast<u32>(bitcast<f32>(a) + 0.5) - 0x3f000000u;
  var h = select(normal, small, a < 0x38800000u);
  h = select(h, 0x7c00u, a >= 0x477ff000u);
  h = select(h, 0x7e00u, a > 0x7f800000u);
  return h | ((bits >> 16u) & 0x8000u);
}

// The float32 of a float16's bits.
fn from_half(h: u32) -> f32 {
  let m = h & 0x7fffu;
  let normal = (m << 13u) + select(0x38000000u, 0x70000000u, m >= 0x7c00u);
  let small = bitcast<u32>(f32(m) * 0x1p-24f);
  return bitcast<f32>(select(normal, small, m < 0x400u) | ((h & 0x8000u) << 16u));
}

fn element(e: u32) -> f32 {
  let col = e % p.out_cols;
  let row = e / p.out_cols % p.out_rows;
  let batch = e / p.out_cols / p.out_rows;
  if (e >= p.total || row >= p.rows || col >= p.cols) {
    return 0.0;
  }
  let at = p.x_offset + batch / p.inner * p.x_outer + batch % p.inner * p.x_inner + row * p.x_row + col * p.x_col;
  if (X_HALF != 0u) {
    return from_half((x[at / 2u] >> (at % 2u * 16u)) & 0xffffu);
  }
  return bitcast<f32>(x[at]);
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let word = id.y * groups.x * 256u + id.x;
  if (word >= p.words) {
    return;
  }
  if (Y_HALF != 0u) {
    y[word] = to_half(element(2u * word)) | (to_half(element(2u * word + 1u)) << 16u);
    return;
  }
  var value = element(word);
  if (ROUND != 0u) {
    value = from_half(to_half(value));
  }
  let col = word % p.out_cols;
  let row = word / p.out_cols % p.out_rows;
  let batch = word / p.out_cols / p.out_rows;
  let at = p.y_offset + batch / p.inner * p.y_outer + batch % p.inner * p.y_inner + row * p.y_row + col * p.y_col;
  if (ADD != 0u) {
    value += bitcast<f32>(y[at]);
  }
  y[at] = bitcast<u32>(value);
}
