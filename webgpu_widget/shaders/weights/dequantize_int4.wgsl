// What encode_int4 made, back to float32.
// Shapes: packed (8 q a word), scales (f32, one a group of 32) -> values (f32), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: one f32 rounding.
// Source: the inverse of encode_int4.

#import shared/conversion

@group(0) @binding(0) var<storage, read> packed: array<u32>;
@group(0) @binding(1) var<storage, read> scales: array<f32>;
@group(0) @binding(2) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.count) {
    return;
  }
  let q = extractBits(packed[i >> 3u], (i & 7u) * 4u, 4u);
  values[i] = scales[i >> 5u] * (f32(q) - 8.0);
}
