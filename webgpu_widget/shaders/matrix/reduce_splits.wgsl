// Add the partial sums of a product whose inner axis was split over workgroups, in a fixed order.
// Shapes: x (splits, count) -> y (count). With ACCUMULATE, y's old value is added too.
// Dispatch: one invocation per element of y, 256 a workgroup, folded over x and y.
// Accuracy: float32, splits - 1 roundings, the same on every run.
// Source: none, it is a sum.

override ACCUMULATE = 0u;

struct Params {
  count: u32,
  splits: u32,
  y_offset: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 256u + id.x;
  if (i >= p.count) {
    return;
  }
  var sum = 0.0;
  for (var s = 0u; s < p.splits; s += 1u) {
    sum += x[s * p.count + i];
  }
  if (ACCUMULATE != 0u) {
    sum += y[p.y_offset + i];
  }
  y[p.y_offset + i] = sum;
}
