// uint16 to uint32.
// Shapes: raw, 2 bytes an element, in 32-bit words -> values (u32), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: exact.
// Source: plain integers.

#import shared/conversion

@group(0) @binding(0) var<storage, read> raw: array<u32>;
@group(0) @binding(1) var<storage, read_write> values: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.count) {
    return;
  }
  values[i] = extractBits(raw[i >> 1u], (i & 1u) * 16u, 16u);
}
