// QR decomposition by Householder reflections, in place: R above the diagonal, the vectors below it, their factors apart.
// Entry reflect, reflect_serial: the reflection of column `step`, by a workgroup or by one invocation.
// Entry apply: that reflection on the columns right of it.
// Entry form: that reflection on another matrix (Q, from the last step to the first).
// Shapes: 0 a (batch, rows, cols), 1 factor (batch, count), 2 q (batch, rows, width), form only; uniform: see Params.
// Dispatch: 64 invocations a workgroup (reflect: 256, one workgroup a matrix) in grid-stride loops: reflect_serial over batch, apply and form over
// columns.
// Accuracy: backward stable: residual and loss of orthogonality about rows * 6e-8.
// Source: G. Golub, C. Van Loan, Matrix Computations, 5.2; LAPACK's conventions (v[0] = 1, H = I - factor v v^T).

@group(0) @binding(0) var<storage, read_write> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> factor: array<f32>;
@group(0) @binding(2) var<storage, read_write> q: array<f32>;

struct Params { batch: u32, rows: u32, cols: u32, count: u32, width: u32, step: u32, _a: u32, _b: u32 }
@group(1) @binding(0) var<uniform> p: Params;

var<workgroup> part: array<f32, 256>;

fn at(n: u32, row: u32, col: u32) -> u32 { return (n * p.rows + row) * p.cols + col; }

// Largest size of the elements below the diagonal, by steps.
fn largest(n: u32, begin: u32, by: u32) -> f32 {
  var big = 0.0;
  for (var i = begin; i < p.rows; i += by) { big = max(big, abs(a[at(n, i, p.step)])); }
  return big;
}

fn squares(n: u32, begin: u32, by: u32, scale: f32) -> f32 {
  var sum = 0.0;
  for (var i = begin; i < p.rows; i += by) {
    let x = a[at(n, i, p.step)] * scale;
    sum = fma(x, x, sum);
  }
  return sum;
}

// (new diagonal, factor, what the vector is multiplied by) from the diagonal, the largest element and the scaled sum of squares.
fn reflection(alpha: f32, big: f32, sum: f32, scale: f32) -> vec3<f32> {
  if (big == 0.0) { return vec3<f32>(alpha, 0.0, 0.0); }
  let head = alpha * scale;
  let norm = sqrt(fma(head, head, sum));
  let beta = select(-norm, norm, head < 0.0);
  return vec3<f32>(beta / scale, (beta - head) / beta, scale / (head - beta));
}

fn scale_of(alpha: f32, big: f32) -> f32 {
  // A power of two near one over the largest, so that no square overflows or vanishes.
  let e = clamp((bitcast<u32>(max(abs(alpha), big)) >> 23u) & 0xffu, 2u, 252u);
  return bitcast<f32>((254u - e) << 23u);
}

@compute @workgroup_size(64)
fn reflect_serial(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  for (var n = id.x; n < p.batch; n += groups.x * 64u) {
    let alpha = a[at(n, p.step, p.step)];
    let big = largest(n, p.step + 1u, 1u);
    let scale = scale_of(alpha, big);
    let r = reflection(alpha, big, squares(n, p.step + 1u, 1u, scale), scale);
    a[at(n, p.step, p.step)] = r.x;
    factor[n * p.count + p.step] = r.y;
    for (var i = p.step + 1u; i < p.rows; i++) { a[at(n, i, p.step)] *= r.z; }
  }
}

@compute @workgroup_size(256)
fn reflect(@builtin(local_invocation_id) id: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>,
           @builtin(num_workgroups) groups: vec3<u32>) {
  for (var n = group.x; n < p.batch; n += groups.x) {
    let begin = p.step + 1u + id.x;
    let alpha = a[at(n, p.step, p.step)];
    part[id.x] = largest(n, begin, 256u);
    workgroupBarrier();
    for (var half = 128u; half > 0u; half >>= 1u) {
      if (id.x < half) { part[id.x] = max(part[id.x], part[id.x + half]); }
      workgroupBarrier();
    }
    let big = part[0];
    workgroupBarrier();
    let scale = scale_of(alpha, big);
    part[id.x] = squares(n, begin, 256u, scale);
    workgroupBarrier();
    for (var half = 128u; half > 0u; half >>= 1u) {
      if (id.x < half) { part[id.x] += part[id.x + half]; }
      workgroupBarrier();
    }
    let r = reflection(alpha, big, part[0], scale);
    storageBarrier();
    if (id.x == 0u) {
      a[at(n, p.step, p.step)] = r.x;
      factor[n * p.count + p.step] = r.y;
    }
    for (var i = begin; i < p.rows; i += 256u) { a[at(n, i, p.step)] *= r.z; }
    workgroupBarrier();
  }
}

@compute @workgroup_size(64)
fn apply(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let columns = p.cols - p.step - 1u;
  for (var t = id.x; t < p.batch * columns; t += groups.x * 64u) {
    let n = t / columns;
    let j = p.step + 1u + t % columns;
    var sum = a[at(n, p.step, j)];
    for (var i = p.step + 1u; i < p.rows; i++) { sum = fma(a[at(n, i, p.step)], a[at(n, i, j)], sum); }
    sum *= factor[n * p.count + p.step];
    a[at(n, p.step, j)] -= sum;
    for (var i = p.step + 1u; i < p.rows; i++) { a[at(n, i, j)] = fma(-sum, a[at(n, i, p.step)], a[at(n, i, j)]); }
  }
}

@compute @workgroup_size(64)
fn form(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  for (var t = id.x; t < p.batch * p.width; t += groups.x * 64u) {
    let n = t / p.width;
    let base = n * p.rows * p.width + t % p.width;
    var sum = q[base + p.step * p.width];
    for (var i = p.step + 1u; i < p.rows; i++) { sum = fma(a[at(n, i, p.step)], q[base + i * p.width], sum); }
    sum *= factor[n * p.count + p.step];
    q[base + p.step * p.width] -= sum;
    for (var i = p.step + 1u; i < p.rows; i++) { q[base + i * p.width] = fma(-sum, a[at(n, i, p.step)], q[base + i * p.width]); }
  }
}
