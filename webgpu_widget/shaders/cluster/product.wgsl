// product: c += a b for blocks of a matrix product
// a: (M, K / 4) vec4f   b: (K, N / 4) vec4f   c: (M, N / 4) vec4f; M a multiple of 4, N of 8, K of 4
// dispatch: one invocation per 4 rows and 8 columns of c, ceil(M * N / 32 / 64) workgroups folded into x and y
// accuracy: f32, the K products of an element added in order to what c holds      source: own; registers only, for CPU adapters too
struct Params {
  rows: u32,
  inner: u32,
  columns: u32,
}

@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> c: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let across = params.columns / 8u;
  let index = id.y * groups.x * 64u + id.x;
  if (index >= across * params.rows / 4u) {
    return;
  }
  let row = index / across * 4u;
  let column = index % across * 2u;
  let b_stride = params.columns / 4u;
  let a_stride = params.inner / 4u;
  let at = row * b_stride + column;
  var c00 = c[at];
  var c01 = c[at + 1u];
  var c10 = c[at + b_stride];
  var c11 = c[at + b_stride + 1u];
  var c20 = c[at + 2u * b_stride];
  var c21 = c[at + 2u * b_stride + 1u];
  var c30 = c[at + 3u * b_stride];
  var c31 = c[at + 3u * b_stride + 1u];
  var from_a = row * a_stride;
  var from_b = column;
  for (var k = 0u; k < a_stride; k++) {
    let a0 = a[from_a];
    let a1 = a[from_a + a_stride];
    let a2 = a[from_a + 2u * a_stride];
    let a3 = a[from_a + 3u * a_stride];
    let x0 = b[from_b];
    let x1 = b[from_b + 1u];
    c00 = fma(vec4f(a0.x), x0, c00);
    c01 = fma(vec4f(a0.x), x1, c01);
    c10 = fma(vec4f(a1.x), x0, c10);
    c11 = fma(vec4f(a1.x), x1, c11);
    c20 = fma(vec4f(a2.x), x0, c20);
    c21 = fma(vec4f(a2.x), x1, c21);
    c30 = fma(vec4f(a3.x), x0, c30);
    c31 = fma(vec4f(a3.x), x1, c31);
    let y0 = b[from_b + b_stride];
    let y1 = b[from_b + b_stride + 1u];
    c00 = fma(vec4f(a0.y), y0, c00);
    c01 = fma(vec4f(a0.y), y1, c01);
    c10 = fma(vec4f(a1.y), y0, c10);
    c11 = fma(vec4f(a1.y), y1, c11);
    c20 = fma(vec4f(a2.y), y0, c20);
    c21 = fma(vec4f(a2.y), y1, c21);
    c30 = fma(vec4f(a3.y), y0, c30);
    c31 = fma(vec4f(a3.y), y1, c31);
    let z0 = b[from_b + 2u * b_stride];
    let z1 = b[from_b + 2u * b_stride + 1u];
    c00 = fma(vec4f(a0.z), z0, c00);
    c01 = fma(vec4f(a0.z), z1, c01);
    c10 = fma(vec4f(a1.z), z0, c10);
    c11 = fma(vec4f(a1.z), z1, c11);
    c20 = fma(vec4f(a2.z), z0, c20);
    c21 = fma(vec4f(a2.z), z1, c21);
    c30 = fma(vec4f(a3.z), z0, c30);
    c31 = fma(vec4f(a3.z), z1, c31);
    let w0 = b[from_b + 3u * b_stride];
    let w1 = b[from_b + 3u * b_stride + 1u];
    c00 = fma(vec4f(a0.w), w0, c00);
    c01 = fma(vec4f(a0.w), w1, c01);
    c10 = fma(vec4f(a1.w), w0, c10);
    c11 = fma(vec4f(a1.w), w1, c11);
    c20 = fma(vec4f(a2.w), w0, c20);
    c21 = fma(vec4f(a2.w), w1, c21);
    c30 = fma(vec4f(a3.w), w0, c30);
    c31 = fma(vec4f(a3.w), w1, c31);
    from_a += 1u;
    from_b += params.columns;
  }
  c[at] = c00;
  c[at + 1u] = c01;
  c[at + b_stride] = c10;
  c[at + b_stride + 1u] = c11;
  c[at + 2u * b_stride] = c20;
  c[at + 2u * b_stride + 1u] = c21;
  c[at + 3u * b_stride] = c30;
  c[at + 3u * b_stride + 1u] = c31;
}
