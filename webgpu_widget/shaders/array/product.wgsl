// Matrix product of integers, batched, of strided operands.
// Shapes: 0 a (batch, rows, inner), 1 b (batch, inner, cols), 2 c tight (batch, rows, cols); uniform: see Params.
// Variants: alias Elem = i32 | u32.
// Dispatch: 64 invocations a workgroup in a grid-stride loop, one for a block of 4 x 4 elements of c.
// Accuracy: modulo 2**32.
// Source: own.

alias Elem = i32;

@group(0) @binding(0) var<storage, read> a: array<Elem>;
@group(0) @binding(1) var<storage, read> b: array<Elem>;
@group(0) @binding(2) var<storage, read_write> c: array<Elem>;

struct Params {
  batch: u32, rows: u32, cols: u32, inner: u32,
  a_start: u32, a_batch: u32, a_row: u32, a_col: u32,
  b_start: u32, b_batch: u32, b_row: u32, b_col: u32,
}
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let across = (p.cols + 3u) / 4u;
  let down = (p.rows + 3u) / 4u;
  for (var t = id.x; t < p.batch * across * down; t += groups.x * 64u) {
    let col = (t % across) * 4u;
    let row = ((t / across) % down) * 4u;
    let n = t / (across * down);
    var sum: array<array<Elem, 4>, 4>;
    for (var k = 0u; k < p.inner; k++) {
      for (var i = 0u; i < 4u; i++) {
        let x = a[p.a_start + n * p.a_batch + min(row + i, p.rows - 1u) * p.a_row + k * p.a_col];
        for (var j = 0u; j < 4u; j++) {
          sum[i][j] += x * b[p.b_start + n * p.b_batch + k * p.b_row + min(col + j, p.cols - 1u) * p.b_col];
        }
      }
    }
    for (var i = 0u; i < min(4u, p.rows - row); i++) {
      for (var j = 0u; j < min(4u, p.cols - col); j++) { c[(n * p.rows + row + i) * p.cols + col + j] = sum[i][j]; }
    }
  }
}
