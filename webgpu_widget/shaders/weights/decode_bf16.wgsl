// bfloat16 to float32.
// Shapes: raw, 2 bytes an element, in 32-bit words -> values (f32 bit patterns), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: exact, NaN payloads included.
// Source: a bfloat16 is the upper half of a float32.

#import shared/conversion

@group(0) @binding(0) var<storage, read> raw: array<u32>;
@group(0) @binding(1) var<storage, read_write> values: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.count) {
    return;
  }
  values[i] = ((raw[i >> 1u] >> ((i & 1u) * 16u)) & 0xffffu) << 16u;
}
