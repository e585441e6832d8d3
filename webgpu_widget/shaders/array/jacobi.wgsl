// Eigenvalues of symmetric matrices, and singular values, by Jacobi rotations of disjoint pairs (a round-robin tournament).
// Entry angles: the rotation of each pair, from a.
// Entry rotate: it on both sides of a, and on the rows of v.
// Entry orthogonalise, orthogonalise_serial: one-sided: rotate pairs of rows of a until they are orthogonal, and the rows of v with them; by a workgroup or by an
// invocation for each pair.
// Shapes: 0 a (batch, side, width; width = side for eigenvalues), 1 v (batch, side, side), its rows the vectors, 2 rotations (batch, pairs) cosine
// and sine; uniform: batch, side, width, round.
// Dispatch: 64 invocations a workgroup in grid-stride loops: angles and orthogonalise_serial over pairs, rotate over pairs of pairs and over pairs
// times columns of v; orthogonalise a workgroup for each pair. Rounds 0 .. players - 2 are a sweep.
// Accuracy: eigenvalues to about side * 6e-8 of the largest; singular values relative to each column's size.
// Source: G. Golub, C. Van Loan, Matrix Computations, 8.5 and 8.6.3.

@group(0) @binding(0) var<storage, read_write> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> v: array<f32>;
@group(0) @binding(2) var<storage, read_write> rotations: array<vec2<f32>>;

struct Params { batch: u32, side: u32, width: u32, round: u32 }
@group(1) @binding(0) var<uniform> p: Params;

var<workgroup> part: array<vec3<f32>, 64>;

fn players() -> u32 { return p.side + (p.side & 1u); }

// The pair `k` of the round, smaller first; with an odd side the larger may be `side`, which is no row: it sits out.
fn pair(k: u32) -> vec2<u32> {
  let m = players() - 1u;
  let x = select((p.round + k) % m, m, k == 0u);
  let y = (p.round + m - k) % m;
  return vec2<u32>(min(x, y), max(x, y));
}

// Cosine and sine that make (alpha, gamma; gamma, beta) diagonal; no rotation where it would be too small for a quotient of float32.
fn rotation(alpha: f32, beta: f32, gamma: f32) -> vec2<f32> {
  if (abs(gamma) <= 1e-30 * abs(beta - alpha)) { return vec2<f32>(1.0, 0.0); }
  let zeta = (beta - alpha) / (2.0 * gamma);
  // For a large zeta its square overflows, and t is 1 / (2 zeta).
  let size = abs(zeta);
  var t = 1.0 / (size + sqrt(fma(min(size, 1e18), min(size, 1e18), 1.0)));
  if (size > 1e18) { t = 0.5 / size; }
  if (zeta < 0.0) { t = -t; }
  let c = 1.0 / sqrt(fma(t, t, 1.0));
  return vec2<f32>(c, c * t);
}

// (c x - s y, s x + c y), written so that errors of c do not add up over many rotations (H. Rutishauser).
fn rotated(r: vec2<f32>, x: f32, y: f32) -> vec2<f32> {
  let tau = r.y / (1.0 + r.x);
  return vec2<f32>(fma(-r.y, fma(tau, x, y), x), fma(r.y, fma(-tau, y, x), y));
}

@compute @workgroup_size(64)
fn angles(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let pairs = players() / 2u;
  for (var t = id.x; t < p.batch * pairs; t += groups.x * 64u) {
    let base = (t / pairs) * p.side * p.side;
    let k = pair(t % pairs);
    var r = vec2<f32>(1.0, 0.0);
    if (k.y < p.side) {
      r = rotation(a[base + k.x * p.side + k.x], a[base + k.y * p.side + k.y], a[base + k.x * p.side + k.y]);
    }
    rotations[t] = r;
  }
}

@compute @workgroup_size(64)
fn rotate(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let pairs = players() / 2u;
  let blocks = pairs * pairs;
  let each = blocks + pairs * p.side;
  for (var t = id.x; t < p.batch * each; t += groups.x * 64u) {
    let n = t / each;
    let base = n * p.side * p.side;
    let w = t % each;
    if (w >= blocks) {
      let k = pair((w - blocks) / p.side);
      let column = (w - blocks) % p.side;
      if (k.y >= p.side) { continue; }
      let r = rotations[n * pairs + (w - blocks) / p.side];
      let xy = rotated(r, v[base + k.x * p.side + column], v[base + k.y * p.side + column]);
      v[base + k.x * p.side + column] = xy.x;
      v[base + k.y * p.side + column] = xy.y;
      continue;
    }
    let rows = pair(w / pairs);
    let cols = pair(w % pairs);
    let r = rotations[n * pairs + w / pairs];
    let s = rotations[n * pairs + w % pairs];
    let two_rows = rows.y < p.side;
    let two_cols = cols.y < p.side;
    let i = base + rows.x * p.side;
    let j = base + rows.y * p.side;
    var m = vec4<f32>(a[i + cols.x], 0.0, 0.0, 0.0);
    if (two_cols) { m.y = a[i + cols.y]; }
    if (two_rows) { m.z = a[j + cols.x]; }
    if (two_rows && two_cols) { m.w = a[j + cols.y]; }
    let left = rotated(r, m.x, m.z);
    let right = rotated(r, m.y, m.w);
    let top = rotated(s, left.x, right.x);
    let low = rotated(s, left.y, right.y);
    let diagonal = w / pairs == w % pairs;
    a[i + cols.x] = top.x;
    // The pair's own off-diagonal elements are zero by the choice of the angle.
    if (two_cols) { a[i + cols.y] = select(top.y, 0.0, diagonal); }
    if (two_rows) { a[j + cols.x] = select(low.x, 0.0, diagonal); }
    if (two_rows && two_cols) { a[j + cols.y] = low.y; }
  }
}

fn products(i: u32, j: u32, begin: u32, by: u32) -> vec3<f32> {
  var sum = vec3<f32>();
  for (var k = begin; k < p.width; k += by) {
    let x = a[i + k];
    let y = a[j + k];
    sum = fma(vec3<f32>(x, y, x), vec3<f32>(x, y, y), sum);
  }
  return sum;
}

fn negligible(sum: vec3<f32>) -> bool { return abs(sum.z) <= 3e-8 * sqrt(sum.x) * sqrt(sum.y); }

fn rotate_rows(n: u32, k: vec2<u32>, r: vec2<f32>, begin: u32, by: u32) {
  let i = (n * p.side + k.x) * p.width;
  let j = (n * p.side + k.y) * p.width;
  for (var t = begin; t < p.width; t += by) {
    let xy = rotated(r, a[i + t], a[j + t]);
    a[i + t] = xy.x;
    a[j + t] = xy.y;
  }
  let vi = (n * p.side + k.x) * p.side;
  let vj = (n * p.side + k.y) * p.side;
  for (var t = begin; t < p.side; t += by) {
    let xy = rotated(r, v[vi + t], v[vj + t]);
    v[vi + t] = xy.x;
    v[vj + t] = xy.y;
  }
}

@compute @workgroup_size(64)
fn orthogonalise_serial(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let pairs = players() / 2u;
  for (var t = id.x; t < p.batch * pairs; t += groups.x * 64u) {
    let n = t / pairs;
    let k = pair(t % pairs);
    if (k.y >= p.side) { continue; }
    let sum = products((n * p.side + k.x) * p.width, (n * p.side + k.y) * p.width, 0u, 1u);
    if (negligible(sum)) { continue; }
    rotate_rows(n, k, rotation(sum.x, sum.y, sum.z), 0u, 1u);
  }
}

@compute @workgroup_size(64)
fn orthogonalise(@builtin(local_invocation_id) id: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>,
                 @builtin(num_workgroups) groups: vec3<u32>) {
  let pairs = players() / 2u;
  for (var t = group.x; t < p.batch * pairs; t += groups.x) {
    let n = t / pairs;
    let k = pair(t % pairs);
    let inside = k.y < p.side;
    part[id.x] = vec3<f32>();
    if (inside) { part[id.x] = products((n * p.side + k.x) * p.width, (n * p.side + k.y) * p.width, id.x, 64u); }
    workgroupBarrier();
    for (var half = 32u; half > 0u; half >>= 1u) {
      if (id.x < half) { part[id.x] += part[id.x + half]; }
      workgroupBarrier();
    }
    let sum = part[0];
    if (inside && !negligible(sum)) { rotate_rows(n, k, rotation(sum.x, sum.y, sum.z), id.x, 64u); }
    workgroupBarrier();
  }
}
