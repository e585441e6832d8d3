// y[r, FIRST + n] (+)= FACTOR * scale[n] * dot(weight[n, :], x[r, :]) (+ bias[n]) for many rows: each thread makes 4 x 4 outputs in registers.
// Shapes: x (rows, IN) as vec4f, weight (OUT, IN) in Packed words of four, scale (OUT), behind it the bias where BIASED, y (rows, STRIDE). Params: rows.
// Dispatch: (ceil(OUT / 32), ceil(rows / 32), 1) workgroups of 8 x 8.
// Accuracy: f32, one sum over IN per output in order; about 1e-6 relative to the sum of magnitudes.
// Source: none. No workgroup memory: that is what costs where a CPU runs the shader.

#import shared/packed

override IN: u32 = 4;
override OUT: u32 = 1;
override RESIDUAL: bool = false;
override FACTOR: f32 = 1.0;
override FIRST: u32 = 0;
override STRIDE: u32 = 1;
override BIASED: bool = false;

struct Params { rows: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> weight: array<Packed>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

fn put(row: u32, n: u32, sums: vec4f) {
  if (row >= params.rows) { return; }
  for (var j = 0u; j < 4u; j++) {
    let column = n + j;
    if (column < OUT) {
      var value = FACTOR * scale[column] * sums[j];
      if (BIASED) { value += scale[OUT + column]; }
      let at = row * STRIDE + FIRST + column;
      if (RESIDUAL) { y[at] += value; } else { y[at] = value; }
    }
  }
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let words = IN / 4u;
  let n = id.x * 4u;
  let r = id.y * 4u;
  if (n >= OUT || r >= params.rows) { return; }
  let w0 = n * words;
  let w1 = min(n + 1u, OUT - 1u) * words;
  let w2 = min(n + 2u, OUT - 1u) * words;
  let w3 = min(n + 3u, OUT - 1u) * words;
  let last = params.rows - 1u;
  let x0 = r * words;
  let x1 = min(r + 1u, last) * words;
  let x2 = min(r + 2u, last) * words;
  let x3 = min(r + 3u, last) * words;
  var s0 = vec4f();
  var s1 = vec4f();
  var s2 = vec4f();
  var s3 = vec4f();
  for (var i = 0u; i < words; i++) {
    let b0 = weight_at(w0 + i);
    let b1 = weight_at(w1 + i);
    let b2 = weight_at(w2 + i);
    let b3 = weight_at(w3 + i);
    let a0 = x[x0 + i];
    let a1 = x[x1 + i];
    let a2 = x[x2 + i];
    let a3 = x[x3 + i];
    s0 += vec4f(dot(a0, b0), dot(a0, b1), dot(a0, b2), dot(a0, b3));
    s1 += vec4f(dot(a1, b0), dot(a1, b1), dot(a1, b2), dot(a1, b3));
    s2 += vec4f(dot(a2, b0), dot(a2, b1), dot(a2, b2), dot(a2, b3));
    s3 += vec4f(dot(a3, b0), dot(a3, b1), dot(a3, b2), dot(a3, b3));
  }
  put(r, n, s0);
  put(r + 1u, n, s1);
  put(r + 2u, n, s2);
  put(r + 3u, n, s3);
}
