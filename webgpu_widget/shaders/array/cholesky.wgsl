// Cholesky decomposition A = L L^T of symmetric positive definite matrices; only the lower triangle of A is read.
// Entry column: column `first` of L, and the rest of its panel in A.
// Entry update: A right of the panel less L L^T of the panel.
// Shapes: 0 a (batch, side, side), destroyed, 1 l like a, zero at first, 2 bad (batch) atomic, zero at first: set where a pivot is not positive;
// uniform: batch, side, first, end.
// Dispatch: 64 invocations a workgroup in grid-stride loops: column over rows, update over elements of the lower triangle's square.
// For columns first of a panel: column with `end` the panel's end; then update with first, end the panel's.
// Accuracy: backward stable: residual about side * 6e-8 relative.
// Source: G. Golub, C. Van Loan, Matrix Computations, 4.2.

@group(0) @binding(0) var<storage, read_write> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> l: array<f32>;
@group(0) @binding(2) var<storage, read_write> bad: array<atomic<u32>>;

struct Params { batch: u32, side: u32, first: u32, end: u32 }
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(64)
fn column(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let rows = p.side - p.first;
  for (var t = id.x; t < p.batch * rows; t += groups.x * 64u) {
    let n = t / rows;
    let i = p.first + t % rows;
    let base = n * p.side * p.side;
    let d = a[base + p.first * p.side + p.first];
    let bits = bitcast<u32>(d);
    // Zero, negative, infinite or NaN.
    if (bits == 0u || bits >= 0x7f800000u) {
      atomicMax(&bad[n], p.first + 1u);
      continue;
    }
    let x = a[base + i * p.side + p.first];
    l[base + i * p.side + p.first] = select(x / sqrt(d), sqrt(d), i == p.first);
    let scaled = x / d;
    for (var k = p.first + 1u; k < min(p.end, i + 1u); k++) {
      a[base + i * p.side + k] = fma(-scaled, a[base + k * p.side + p.first], a[base + i * p.side + k]);
    }
  }
}

@compute @workgroup_size(64)
fn update(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let rest = p.side - p.end;
  for (var t = id.x; t < p.batch * rest * rest; t += groups.x * 64u) {
    let j = p.end + t % rest;
    let i = p.end + (t / rest) % rest;
    if (j > i) { continue; }
    let base = (t / (rest * rest)) * p.side * p.side;
    var sum = 0.0;
    for (var k = p.first; k < p.end; k++) { sum = fma(l[base + i * p.side + k], l[base + j * p.side + k], sum); }
    a[base + i * p.side + j] -= sum;
  }
}
