// Multiplies float16 by the scale of the block that they lie in, in place.
// Shapes: scales (params.layers or 1, scale_rows, scale_columns), values (two float16 a word, the first in the lower half), params.count of them: whole rows of
// params.columns from row params.first_row on, of layers of params.rows rows; a block is block_rows by block_columns.
// Dispatch: one invocation a word, 64 a workgroup; x folds into y.
// Accuracy: the f32 product rounded to nearest even, subnormal results included; a NaN stays as it is.
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

// The exact f32 of a 16-bit float; integers, because hardware may flush subnormals.
fn half_bits(h: u32) -> u32 {
  let sign = (h & 0x8000u) << 16u;
  let exponent = (h >> 10u) & 31u;
  let fraction = h & 1023u;
  if (exponent == 0u) {
    return sign | bitcast<u32>(f32(fraction) * 5.9604644775390625e-8);
  }
  if (exponent == 31u) {
    return sign | 0x7f800000u | (fraction << 13u);
  }
  return sign | ((exponent + 112u) << 23u) | (fraction << 13u);
}

fn narrow(v: u32) -> u32 {
  let sign = (v >> 16u) & 0x8000u;
  let magnitude = v & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {
    return sign | 0x7e00u;
  }
  if (magnitude >= 0x477ff000u) { // 65520 and more round to infinity
    return sign | 0x7c00u;
  }
  if (magnitude >= 0x38800000u) {
    return sign | ((magnitude - 0x38000000u + 0xfffu + ((magnitude >> 13u) & 1u)) >> 13u);
  }
  if (magnitude < 0x33000000u) { // under half of the smallest subnormal
    return sign;
  }
  let shift = 126u - (magnitude >> 23u);
  let bits = (magnitude & 0x7fffffu) | 0x800000u;
  let kept = bits >> shift;
  let rest = bits & ((1u << shift) - 1u);
  let middle = 1u << (shift - 1u);
  let up = rest > middle || (rest == middle && (kept & 1u) != 0u);
  return sign | (kept + select(0u, 1u, up));
}

fn scaled(half: u32, i: u32) -> u32 {
  if ((half & 0x7fffu) > 0x7c00u) {
    return half;
  }
  return narrow(bitcast<u32>(bitcast<f32>(half_bits(half)) * scale_of(i)));
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
