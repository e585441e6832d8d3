// Multiplies numbers by the scale of the block that they lie in, in place.
// Shapes: scales (params.layers or 1, scale_rows, scale_columns), values (f32 bit patterns), params.count of them: whole rows of
// params.columns from row params.first_row on, of layers of params.rows rows; a block is block_rows by block_columns.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: one f32 rounding; a NaN stays as it is, and a product below 2^-126 may become 0.
// Source: own.

struct Params {
  count: u32,         // elements here
  columns: u32,       // of a row
  rows: u32,          // of a layer
  first_row: u32,     // of these elements, counted through all layers
  block_rows: u32,
  block_columns: u32,
  scale_columns: u32, // scales beside one another
  layer_scales: u32,  // scales of a layer; 0 where all layers share them
}

@group(0) @binding(0) var<storage, read> scales: array<f32>;
@group(0) @binding(1) var<storage, read_write> values: array<u32>;
@group(1) @binding(0) var<uniform> params: Params;

fn scale_of(i: u32) -> f32 {
  let row = params.first_row + i / params.columns;
  let layer = row / params.rows;
  let at = (row % params.rows) / params.block_rows * params.scale_columns + (i % params.columns) / params.block_columns;
  return scales[layer * params.layer_scales + at];
}

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
