// h[r, n] = act(a) * b with a = dot(weight[n, :], f(x[r, :])), b the same with row OUT + n, f RMSNorm where NORM, else the identity; h = act(a) where not GATED.
// The first half of a feed-forward for one decoding step. ACT is 0 ReLU, 1 GELU in its tanh form, 2 SiLU.
// Shapes: x (rows, IN), gain (IN), weight (2 * OUT or OUT, IN) in Packed words of four, scale (as weight's rows), h (rows, OUT).
// Dispatch: (any, rows, 1); teams take outputs in turns. Nothing is written once state[0] says that generation has stopped.
// Accuracy: f32 sums over IN in the order of lanes; about 1e-6 relative.
// Source: Shazeer, "GLU Variants Improve Transformer", 2020.
enable subgroups;

override WG: u32 = 64;
override IN: u32 = 4;
override OUT: u32 = 1;
override GATED: bool = true;
override ACT: u32 = 1;
override EPSILON: f32 = 1e-6;
override NORM: bool = true;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> gain: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<Packed>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read> state: array<u32>;
@group(0) @binding(5) var<storage, read_write> h: array<f32>;

// format of the weights: shaders.py has the lines for float16 (two to a word) and int8 (four to a word)
alias Packed = vec4f;
fn unpack(p: Packed) -> vec4f { return p; }

// product: of a unit of a matrix row, the words that are decoded at once, and x; formats.py has the text for blocks
const UNIT: u32 = 1u;
fn product(at: u32, begin: u32, i: u32) -> Sums { return of_rows(unpack(weight[at + i]), begin, i); }
// end product

// word i of the row that begins there, times the gain
fn taken(begin: u32, i: u32) -> vec4f {
  if (NORM) { return x[begin + i] * gain[i]; }
  return x[begin + i];
}
alias Sums = f32;
fn of_rows(v: vec4f, begin: u32, i: u32) -> Sums { return dot(v, taken(begin, i)); }

// team: the lanes that share one output, here a subgroup; shaders.py has the text for adapters without subgroups
fn team_sum(v: f32) -> f32 { return subgroupAdd(v); }
// end team

fn activate(a: f32) -> f32 {
  if (ACT == 0u) { return select(a, 0.0, bitcast<u32>(a) - 0x80000001u < 0x7f800000u); } // NaN stays
  if (ACT == 1u) { return 0.5 * a * (1.0 + tanh(clamp(0.7978845608 * (a + 0.044715 * a * a * a), -15.0, 15.0))); }
  return a / (1.0 + exp(-a));
}

@compute @workgroup_size(WG)
fn main(
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_size) lanes: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  if (state[0] != 0u) { return; }
  let lane = index % lanes;
  let words = IN / 4u;
  let row = group.y * words;
  var squares = 0.0;
  if (NORM) {
    for (var i = lane; i < words; i += lanes) { squares += dot(x[row + i], x[row + i]); }
  }
  var inverse = 1.0;
  let teams = groups.x * (WG / lanes);
  let team = group.x * (WG / lanes) + index / lanes;
  let turns = (OUT + teams - 1u) / teams;
  for (var turn = 0u; turn < turns; turn++) {
    let n = turn * teams + team;
    let m = min(n, OUT - 1u);
    let at = m * words;
    let other = (OUT + m) * words;
    var a = 0.0;
    var b = 0.0;
    for (var i = lane; i < words / UNIT; i += lanes) {
      a += product(at, row, i);
      if (GATED) { b += product(other, row, i); }
    }
    // here and not before the loop, so that nobody waits for the norm before asking for the weights
    if (NORM && turn == 0u) { inverse = inverseSqrt(team_sum(squares) / f32(IN) + EPSILON); }
    a = team_sum(a) * inverse * scale[m];
    if (GATED) { b = team_sum(b) * inverse * scale[OUT + m]; } else { b = 1.0; }
    if (lane == 0u && n < OUT) { h[group.y * OUT + n] = activate(a) * b; }
  }
}
