// Copy a strided batch of matrices into another, padded with zeros, between float32 and float16.
// Shapes: x any strides (elements) -> y (outer, inner, out_rows, out_cols), tight where it is float16, else of any strides. float16 is two to a
// u32, so no shader-f16 is needed.
// Dispatch: (words / 256, lines) workgroups or fewer, which then take several; an invocation per u32 of a line of y.
// Accuracy: exact, or one rounding to nearest even where float32 becomes float16: 65520 and more are infinite, NaN stays NaN.
// Source: IEEE 754 binary16, in integers: pack2x16float may spill what float16 cannot hold into the other half, and a pair of pack2x16float
// and unpack2x16float is one that a driver may leave out.

override X_HALF = 0u; // x is float16
override Y_HALF = 0u; // y is float16
override ROUND = 0u;  // float32 to float32, rounded to float16 on the way
override ADD = 0u;    // add to a float32 y

struct Params {
  rows: u32,
  cols: u32,
  out_rows: u32,
  out_cols: u32,
  inner: u32,
  x_offset: u32,
  x_row: u32,
  x_col: u32,
  x_outer: u32,
  x_inner: u32,
  lines: u32,
  words: u32,
  total: u32,
  y_offset: u32,
  y_row: u32,
  y_col: u32,
  y_outer: u32,
  y_inner: u32,
}

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

// The bits of the nearest float16, ties to even.
fn to_half(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let a = bits & 0x7fffffffu;
  let normal = (a - 0x38000000u + 0xfffu + ((a >> 13u) & 1u)) >> 13u;
  // Adding 0.5 leaves in the low bits how many units of 2**-24 there are.
  let small = bitcast<u32>(bitcast<f32>(a) + 0.5) - 0x3f000000u;
  var h = select(normal, small, a < 0x38800000u);
  h = select(h, 0x7c00u, a >= 0x477ff000u);
  h = select(h, 0x7e00u, a > 0x7f800000u);
  return h | ((bits >> 16u) & 0x8000u);
}

// The float32 of a float16's bits.
fn from_half(h: u32) -> f32 {
  let m = h & 0x7fffu;
  let normal = (m << 13u) + select(0x38000000u, 0x70000000u, m >= 0x7c00u);
  let small = bitcast<u32>(f32(m) * 0x1p-24f);
  return bitcast<f32>(select(normal, small, m < 0x400u) | ((h & 0x8000u) << 16u));
}

struct Place {
  batch: u32,
  row: u32,
  col: u32,
}

fn place_of(e: u32) -> Place {
  return Place(e / p.out_cols / p.out_rows, e / p.out_cols % p.out_rows, e % p.out_cols);
}

fn element(place: Place) -> f32 {
  if (place.row >= p.rows || place.col >= p.cols) {
    return 0.0;
  }
  let at = p.x_offset + place.batch / p.inner * p.x_outer + place.batch % p.inner * p.x_inner + place.row * p.x_row + place.col * p.x_col;
  if (X_HALF != 0u) {
    return from_half((x[at / 2u] >> (at % 2u * 16u)) & 0xffffu);
  }
  return bitcast<f32>(x[at]);
}

fn store(place: Place) {
  var value = element(place);
  if (ROUND != 0u) {
    value = from_half(to_half(value));
  }
  let at = p.y_offset + place.batch / p.inner * p.y_outer + place.batch % p.inner * p.y_inner + place.row * p.y_row + place.col * p.y_col;
  if (ADD != 0u) {
    value += bitcast<f32>(y[at]);
  }
  y[at] = bitcast<u32>(value);
}

// One line after the other: a row, or all elements where rows are short, or do not end with a u32.
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lid: u32) {
  for (var line = group.y; line < p.lines; line += groups.y) {
    let batch = line / p.out_rows;
    let row = line % p.out_rows;
    for (var word = group.x * 256u + lid; word < p.words; word += groups.x * 256u) {
      if (Y_HALF == 0u) {
        var place = Place(batch, row, word);
        if (p.lines == 1u) {
          place = place_of(word);
        }
        store(place);
      } else if (p.lines == 1u) {
        var high = 0u;
        if (2u * word + 1u < p.total) {
          high = to_half(element(place_of(2u * word + 1u)));
        }
        y[word] = to_half(element(place_of(2u * word))) | (high << 16u);
      } else {
        let low = to_half(element(Place(batch, row, 2u * word)));
        y[line * p.words + word] = low | (to_half(element(Place(batch, row, 2u * word + 1u))) << 16u);
      }
    }
  }
}
