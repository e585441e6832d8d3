// LU decomposition with partial pivoting, in place, blocked: P A = L U of square matrices.
// Entry whole: an invocation decomposes a whole small matrix.
// Entry pivot, pivot_serial: the row of the largest element of column `first`, by a workgroup or by one invocation.
// Entry swap: exchange that row with row `first`.
// Entry eliminate: multipliers of column `first`, and its panel's other columns.
// Entry triangle: the rows of the panel right of it.
// Entry update: the rest less the product of panel columns and panel rows.
// Shapes: 0 a (batch, side, side), 1 pivots (batch, side) int32: the row exchanged with each; uniform: batch, side, first, end.
// Dispatch: 64 invocations a workgroup (pivot: 256, one workgroup a matrix) in grid-stride loops: whole and pivot_serial over batch, swap and
// triangle over columns, eliminate over rows, update over blocks of 4 x 4.
// For columns first of a panel: pivot, swap, eliminate with `end` the panel's end; then triangle and update with first, end the panel's. No workgroup
// memory but in pivot, so that CPU adapters run all of it without a barrier.
// Accuracy: backward stable as partial pivoting is: residual about side * 6e-8 relative. A zero pivot is left, and its column.
// Source: G. Golub, C. Van Loan, Matrix Computations, 3.4.

@group(0) @binding(0) var<storage, read_write> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> pivots: array<i32>;

struct Params { batch: u32, side: u32, first: u32, end: u32 }
@group(1) @binding(0) var<uniform> p: Params;

var<workgroup> best_value: array<f32, 256>;
var<workgroup> best_row: array<u32, 256>;

fn search(base: u32, column: u32, begin: u32, step: u32) -> vec2<f32> {
  var value = -1.0;
  var row = begin;
  for (var i = begin; i < p.side; i += step) {
    let x = abs(a[base + i * p.side + column]);
    if (x > value) {
      value = x;
      row = i;
    }
  }
  return vec2<f32>(value, f32(row));
}

fn exchange(base: u32, row: u32, other: u32, column: u32) {
  let x = a[base + row * p.side + column];
  a[base + row * p.side + column] = a[base + other * p.side + column];
  a[base + other * p.side + column] = x;
}

fn eliminate_row(base: u32, column: u32, row: u32, end: u32) {
  let d = a[base + column * p.side + column];
  if (d == 0.0) { return; }
  let l = a[base + row * p.side + column] / d;
  a[base + row * p.side + column] = l;
  for (var k = column + 1u; k < end; k++) {
    a[base + row * p.side + k] = fma(-l, a[base + column * p.side + k], a[base + row * p.side + k]);
  }
}

@compute @workgroup_size(64)
fn whole(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  for (var n = id.x; n < p.batch; n += groups.x * 64u) {
    let base = n * p.side * p.side;
    for (var j = 0u; j < p.side; j++) {
      let row = u32(search(base, j, j, 1u).y);
      pivots[n * p.side + j] = i32(row);
      if (row != j) {
        for (var k = 0u; k < p.side; k++) { exchange(base, j, row, k); }
      }
      for (var i = j + 1u; i < p.side; i++) { eliminate_row(base, j, i, p.side); }
    }
  }
}

@compute @workgroup_size(64)
fn pivot_serial(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  for (var n = id.x; n < p.batch; n += groups.x * 64u) {
    pivots[n * p.side + p.first] = i32(search(n * p.side * p.side, p.first, p.first, 1u).y);
  }
}

@compute @workgroup_size(256)
fn pivot(@builtin(local_invocation_id) id: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>,
         @builtin(num_workgroups) groups: vec3<u32>) {
  for (var n = group.x; n < p.batch; n += groups.x) {
    let found = search(n * p.side * p.side, p.first, p.first + id.x, 256u);
    best_value[id.x] = found.x;
    best_row[id.x] = u32(found.y);
    workgroupBarrier();
    for (var half = 128u; half > 0u; half >>= 1u) {
      if (id.x < half) {
        let other = best_value[id.x + half];
        let row = best_row[id.x + half];
        if (other > best_value[id.x] || (other == best_value[id.x] && row < best_row[id.x])) {
          best_value[id.x] = other;
          best_row[id.x] = row;
        }
      }
      workgroupBarrier();
    }
    if (id.x == 0u) { pivots[n * p.side + p.first] = i32(best_row[0]); }
    workgroupBarrier();
  }
}

@compute @workgroup_size(64)
fn swap(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  for (var t = id.x; t < p.batch * p.side; t += groups.x * 64u) {
    let n = t / p.side;
    let row = u32(pivots[n * p.side + p.first]);
    if (row != p.first) { exchange(n * p.side * p.side, p.first, row, t % p.side); }
  }
}

@compute @workgroup_size(64)
fn eliminate(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let rows = p.side - p.first - 1u;
  for (var t = id.x; t < p.batch * rows; t += groups.x * 64u) {
    eliminate_row((t / rows) * p.side * p.side, p.first, p.first + 1u + t % rows, p.end);
  }
}

@compute @workgroup_size(64)
fn triangle(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let columns = p.side - p.end;
  for (var t = id.x; t < p.batch * columns; t += groups.x * 64u) {
    let base = (t / columns) * p.side * p.side;
    let column = p.end + t % columns;
    for (var i = p.first + 1u; i < p.end; i++) {
      var x = a[base + i * p.side + column];
      for (var k = p.first; k < i; k++) { x = fma(-a[base + i * p.side + k], a[base + k * p.side + column], x); }
      a[base + i * p.side + column] = x;
    }
  }
}

@compute @workgroup_size(64)
fn update(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let rest = p.side - p.end;
  let blocks = (rest + 3u) / 4u;
  for (var t = id.x; t < p.batch * blocks * blocks; t += groups.x * 64u) {
    let column = p.end + (t % blocks) * 4u;
    let row = p.end + ((t / blocks) % blocks) * 4u;
    let base = (t / (blocks * blocks)) * p.side * p.side;
    let last = p.side - 1u;
    let r = base + vec4<u32>(row, min(row + 1u, last), min(row + 2u, last), min(row + 3u, last)) * p.side;
    let c = vec4<u32>(column, min(column + 1u, last), min(column + 2u, last), min(column + 3u, last));
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    for (var k = p.first; k < p.end; k++) {
      let at = base + k * p.side;
      let y = vec4<f32>(a[at + c.x], a[at + c.y], a[at + c.z], a[at + c.w]);
      s0 = fma(vec4<f32>(a[r.x + k]), y, s0);
      s1 = fma(vec4<f32>(a[r.y + k]), y, s1);
      s2 = fma(vec4<f32>(a[r.z + k]), y, s2);
      s3 = fma(vec4<f32>(a[r.w + k]), y, s3);
    }
    var s = array<vec4<f32>, 4>(s0, s1, s2, s3);
    for (var i = 0u; i < min(4u, p.side - row); i++) {
      for (var j = 0u; j < min(4u, p.side - column); j++) { a[r[i] + c[j]] -= s[i][j]; }
    }
  }
}
