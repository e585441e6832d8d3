// Multiplies numbers by the scale of the block that they lie in, in place.
// Shapes: scales (params.layers or 1, scale_rows, scale_columns), values (f32 bit patterns), params.count of them: whole rows of
// params.columns from row params.first_row on, of layers of params.rows rows; a block is block_rows by block_columns.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: one f32 rounding; a NaN stays as it is, and a product below 2^-126 may become 0.
// Source: own.

#import shared/scales

@group(0) @binding(1) var<storage, read_write> values: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.count) {
    return;
  }
  let bits = values[i];
  if ((bits & 0x7fffffffu) <= 0x7f800000u) {
    values[i] = bitcast<u32>(bitcast<f32>(bits) * scale_of(i));
  }
}
