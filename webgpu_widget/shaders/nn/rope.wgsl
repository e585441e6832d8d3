// Rotates the heads of queries and keys by their position, in place: pairs (a, b) become (a c - b s, a s + b c) with c and s of the table.
// The pairs of a head are neighbours where INTERLEAVED, else element i and i + 2 * HEAD (HEAD counts vectors of four). Where NORMED, each head is
// scaled to a root mean square of one first, and by the gains. Row r is at position `first` + r % length.
// Shapes: x (rows, stride) f32, whose row begins with QUERIES + KEYS heads of 4 * HEAD; table (positions, 2 * HEAD) of cosine and sine;
// gains (2, 4 * HEAD), of queries and of keys. Params: rows, stride, first, length.
// Dispatch: (any, 1, 1) workgroups of 64; threads take heads in turns.
// Accuracy: two roundings more than the table's; the norm's sum in order.
// Source: Su et al., "RoFormer", 2021; norms of heads: Dehghani et al., 2023.

override QUERIES: u32 = 1;
override KEYS: u32 = 1;
override INTERLEAVED: bool = false;
override NORMED: bool = false;
override EPSILON: f32 = 1e-6;
const HEAD: u32 = 16u;

struct Params { rows: u32, stride: u32, first: u32, length: u32 }

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<vec2f>;
@group(0) @binding(2) var<storage, read> gains: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let heads = QUERIES + KEYS;
  for (var i = id.x; i < params.rows * heads; i += groups.x * 64u) {
    let row = i / heads;
    let head = i % heads;
    let begin = row * params.stride + head * 4u * HEAD;
    let rotations = (params.first + row % params.length) * 2u * HEAD;
    let gain = select(0u, 4u * HEAD, head >= QUERIES);
    var inverse = 1.0;
    if (NORMED) {
      var squares = 0.0;
      for (var j = 0u; j < 4u * HEAD; j++) { squares += x[begin + j] * x[begin + j]; }
      inverse = inverseSqrt(squares / f32(4u * HEAD) + EPSILON);
    }
    for (var pair = 0u; pair < 2u * HEAD; pair++) {
      let at = select(pair, 2u * pair, INTERLEAVED);
      let other = at + select(2u * HEAD, 1u, INTERLEAVED);
      let rotation = table[rotations + pair];
      var a = x[begin + at];
      var b = x[begin + other];
      if (NORMED) {
        a *= inverse * gains[gain + at];
        b *= inverse * gains[gain + other];
      }
      x[begin + at] = a * rotation.x - b * rotation.y;
      x[begin + other] = a * rotation.y + b * rotation.x;
    }
  }
}
