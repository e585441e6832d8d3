// Rotates the heads of queries and keys by their position, in place: pairs (a, b) become (a c - b s, a s + b c) with c and s of the table.
// The pairs of a head are neighbours where INTERLEAVED, else element i and i + 2 * HEAD (HEAD counts vectors of four). Where STEP, all rows are at
// the position that the state tells, and nothing is done once it says that generation has stopped; else row r is at `first` + r % length.
// Shapes: x (rows, stride) f32, whose row begins with HEADS heads of 4 * HEAD; table (positions, 2 * HEAD) of cosine and sine. state: stopped, step.
// Params: rows, stride, first, length.
// Dispatch: (any, 1, 1) workgroups of 64; threads take pairs in turns.
// Accuracy: two roundings more than the table's.
// Source: Su et al., "RoFormer", 2021.
override HEADS: u32 = 1;
override INTERLEAVED: bool = false;
override STEP: bool = false;
const HEAD: u32 = 16u;

struct Params { rows: u32, stride: u32, first: u32, length: u32 }

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<vec2f>;
@group(0) @binding(2) var<storage, read> state: array<u32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  if (STEP && state[0] != 0u) { return; }
  let pairs = HEADS * 2u * HEAD;
  for (var i = id.x; i < params.rows * pairs; i += groups.x * 64u) {
    let row = i / pairs;
    let pair = i % (2u * HEAD);
    var position = params.first + row % params.length;
    if (STEP) { position = state[1]; }
    let begin = row * params.stride + i % pairs / (2u * HEAD) * 4u * HEAD;
    let at = begin + select(pair, 2u * pair, INTERLEAVED);
    let other = at + select(2u * HEAD, 1u, INTERLEAVED);
    let turn = table[position * 2u * HEAD + pair];
    let a = x[at];
    let b = x[other];
    x[at] = a * turn.x - b * turn.y;
    x[other] = a * turn.y + b * turn.x;
  }
}
