// int64 to int32; raises flags[params.flag] where a value does not fit.
// Shapes: raw, 8 bytes an element, in 32-bit words -> values (i32), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: exact, or flagged.
// Source: two's complement.

#import shared/conversion

@group(0) @binding(0) var<storage, read> raw: array<u32>;
@group(0) @binding(1) var<storage, read_write> values: array<i32>;
@group(0) @binding(2) var<storage, read_write> flags: array<atomic<u32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.count) {
    return;
  }
  let low = raw[2u * i];
  let high = raw[2u * i + 1u];
  if (high != u32(i32(low) >> 31u)) {
    atomicOr(&flags[params.flag], 1u);
  }
  values[i] = i32(low);
}
