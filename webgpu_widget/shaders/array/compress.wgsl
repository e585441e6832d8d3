// Linear indices of the true elements of a mask, in order.
// Shapes: 0 mask (count) as u32, 1 upto (count) int32: how many are true up to and with each, 2 index (true ones) int32; uniform: count.
// Dispatch: 64 invocations a workgroup in a grid-stride loop over count.
// Accuracy: exact.
// Source: own.

@group(0) @binding(0) var<storage, read> mask: array<u32>;
@group(0) @binding(1) var<storage, read> upto: array<i32>;
@group(0) @binding(2) var<storage, read_write> index: array<i32>;

struct Params { count: u32, _a: u32, _b: u32, _c: u32 }
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  for (var t = id.x; t < p.count; t += groups.x * 64u) {
    if (mask[t] != 0u) { index[upto[t] - 1] = i32(t); }
  }
}
