// int8 to int32.
// Shapes: raw, 1 byte an element, in 32-bit words -> values (i32), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: exact.
// Source: two's complement.

#import shared/conversion

@group(0) @binding(0) var<storage, read> raw: array<u32>;
@group(0) @binding(1) var<storage, read_write> values: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.count) {
    return;
  }
  values[i] = extractBits(i32(raw[i >> 2u]), (i & 3u) * 8u, 8u);
}
