// The scale of the block that an element lies in.
// Accuracy: exact.
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
@group(1) @binding(0) var<uniform> params: Params;

fn scale_of(i: u32) -> f32 {
  let row = params.first_row + i / params.columns;
  let layer = row / params.rows;
  let at = (row % params.rows) / params.block_rows * params.scale_columns + (i % params.columns) / params.block_columns;
  return scales[layer * params.layer_scales + at];
}
