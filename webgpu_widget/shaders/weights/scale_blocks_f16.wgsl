// Multiplies float16 by the scale of the block that they lie in, in place.
// Shapes: scales (params.layers or 1, scale_rows, scale_columns), values (two float16 a word, the first in the lower half), params.count of them: whole rows of
// params.columns from row params.first_row on, of layers of params.rows rows; a block is block_rows by block_columns.
// Dispatch: one invocation a word, 64 a workgroup; x folds into y.
// Accuracy: the f32 product rounded to nearest even, subnormal results included; a NaN stays as it is.
// Source: own.

#import shared/half
#import shared/scales
#import shared/to_half

@group(0) @binding(1) var<storage, read_write> values: array<u32>;

fn scaled(half: u32, i: u32) -> u32 {
  if ((half & 0x7fffu) > 0x7c00u) {
    return half;
  }
  return half_of(bitcast<u32>(bitcast<f32>(half_bits(half)) * scale_of(i)));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (2u * i >= params.count) {
    return;
  }
  let word = values[i];
  var made = scaled(word & 0xffffu, 2u * i);
  if (2u * i + 1u < params.count) {
    made |= scaled(word >> 16u, 2u * i + 1u) << 16u;
  }
  values[i] = made;
}
