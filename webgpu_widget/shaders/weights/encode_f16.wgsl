// float32 to float16, rounded to nearest, ties to even.
// Shapes: values (params.count f32 bit patterns) -> packed ((count + 1) / 2 words, the first element in the lower half).
// Dispatch: one invocation a word, 64 a workgroup; x folds into y.
// Accuracy: correctly rounded, subnormal results included; integers, because pack2x16float may round either way.
// Source: IEEE 754 binary16.

#import shared/conversion
#import shared/to_half

@group(0) @binding(0) var<storage, read> values: array<u32>;
@group(0) @binding(1) var<storage, read_write> packed: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (2u * i >= params.count) {
    return;
  }
  var word = half_of(values[2u * i]);
  if (2u * i + 1u < params.count) {
    word |= half_of(values[2u * i + 1u]) << 16u;
  }
  packed[i] = word;
}
