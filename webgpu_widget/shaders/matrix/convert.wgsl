// Copy a strided batch of matrices into another, padded with zeros, between float32 and float16.
// Shapes: x any strides (elements) -> y (outer, inner, out_rows, out_cols), tight where it is float16, else of any strides. float16 is two to a
// u32, so no shader-f16 is needed.
// Dispatch: one invocation per u32 of y, 256 a workgroup, folded over x and y.
// Accuracy: exact, or one rounding to nearest even where float32 becomes float16 (beyond 65504 the result is the adapter's own, usually inf).
// Source: WGSL pack2x16float / unpack2x16float; nothing else.

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

fn element(e: u32) -> f32 {
  let col = e % p.out_cols;
  let row = e / p.out_cols % p.out_rows;
  let batch = e / p.out_cols / p.out_rows;
  if (e >= p.total || row >= p.rows || col >= p.cols) {
    return 0.0;
  }
  let at = p.x_offset + batch / p.inner * p.x_outer + batch % p.inner * p.x_inner + row * p.x_row + col * p.x_col;
  if (X_HALF != 0u) {
    return unpack2x16float(x[at / 2u])[at % 2u];
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
    y[word] = pack2x16float(vec2f(element(2u * word), element(2u * word + 1u)));
    return;
  }
  var value = element(word);
  if (ROUND != 0u) {
    value = unpack2x16float(pack2x16float(vec2f(value, 0.0))).x;
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
