// Move the scalars of elements between two layouts, tight NumPy order and WGSL's padded, column-major one; padding in target is left alone.
// Shapes: source (n * source_stride) u32, target (n * target_stride) u32, words of 4 bytes.
// Dispatch: one invocation a scalar, ceil(n * rows * columns / 256) workgroups folded into x and y.
// Accuracy: exact.
// Source: own.

struct Params {
  scalars: u32,
  columns: u32,
  per_element: u32,
  source_stride: u32,
  source_row: u32,
  source_column: u32,
  target_stride: u32,
  target_row: u32,
  target_column: u32,
}

@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> target_words: array<u32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.y * groups.x * 256u + id.x;
  if (index >= params.scalars) {
    return;
  }
  let element = index / params.per_element;
  let inside = index % params.per_element;
  let row = inside / params.columns;
  let column = inside % params.columns;
  target_words[element * params.target_stride + row * params.target_row + column * params.target_column] =
    source[element * params.source_stride + row * params.source_row + column * params.source_column];
}
