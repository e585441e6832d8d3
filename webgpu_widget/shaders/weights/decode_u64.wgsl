// uint64 to uint32; raises flags[params.flag] where a value does not fit.
// Shapes: raw, 8 bytes an element, in 32-bit words -> values (u32), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: exact, or flagged.
// Source: plain integers.

#import shared/conversion

@group(0) @binding(0) var<storage, read> raw: array<u32>;
@group(0) @binding(1) var<storage, read_write> values: array<u32>;
@group(0) @binding(2) var<storage, read_write> flags: array<atomic<u32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.count) {
    return;
  }
  if (raw[2u * i + 1u] != 0u) {
    atomicOr(&flags[params.flag], 1u);
  }
  values[i] = raw[2u * i];
}
