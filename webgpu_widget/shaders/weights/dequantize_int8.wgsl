// What encode_int8 made, back to float32.
// Shapes: packed (4 q a word), scales (f32, one a group of 32) -> values (f32), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: one f32 rounding.
// Source: the inverse of encode_int8.

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
  let q = extractBits(i32(packed[i >> 2u]), (i & 3u) * 8u, 8u);
  values[i] = scales[i >> 5u] * f32(q);
}
