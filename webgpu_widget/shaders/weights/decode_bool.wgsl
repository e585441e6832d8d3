// Bytes that are zero or not to bool, stored as u32 0 or 1.
// Shapes: raw, 1 byte an element, in 32-bit words -> values (u32), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: exact.
// Source: NumPy and safetensors store a bool in a byte.

#import shared/conversion

@group(0) @binding(0) var<storage, read> raw: array<u32>;
@group(0) @binding(1) var<storage, read_write> values: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.count) {
    return;
  }
  values[i] = select(0u, 1u, extractBits(raw[i >> 2u], (i & 3u) * 8u, 8u) != 0u);
}
