// The first half of a feed-forward for one decoding step, as step_gate, of rows that lie in slots: h = act(a) * b of RMSNorm(row), the row being
// the sum of its slots; y gets the row itself. Each workgroup adds the slots once for all of its outputs.
// Shapes: x (rows, SLOTS, d) with d = 4 * WORDS, gain (d), weight (2 * OUT or OUT, d) in Packed words of four, scale (as weight's rows), h (rows, OUT),
// y (rows, d). ACT is 0 ReLU, 1 GELU in its tanh form, 2 SiLU, 3 nothing: a product
// of the normed row alone. state: stopped.
// Dispatch: (any, rows, 1); teams take outputs in turns.
// Accuracy: f32 sums in the order of members; about 1e-6 relative.
// Source: Shazeer, "GLU Variants Improve Transformer", 2020.

#import shared/activation
#import shared/one_row
#import shared/product

override WG: u32 = 64;
override WORDS: u32 = 1;
override SLOTS: u32 = 1;
override OUT: u32 = 1;
override GATED: bool = true;
override ACT: u32 = 1;
override EPSILON: f32 = 1e-6;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> gain: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<Packed>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read> state: array<u32>;
@group(0) @binding(5) var<storage, read_write> h: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<vec4f>;

var<workgroup> row: array<vec4f, WORDS>;
var<workgroup> words: array<f32, WG>;

fn taken(begin: u32, i: u32) -> vec4f { return row[begin + i]; }

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) index: u32, place: Place) {
  let members = members_of(place, index);
  let group = place.group;
  let groups = place.groups;
  if (state[0] != 0u) { return; }
  let member = index % members;
  let team = index / members;
  let teams = WG / members;
  let r = group.y;
  var squares = 0.0;
  for (var i = index; i < WORDS; i += WG) {
    var v = vec4f();
    for (var slot = 0u; slot < SLOTS; slot++) { v += x[(r * SLOTS + slot) * WORDS + i]; }
    row[i] = v * gain[i];
    squares += dot(v, v);
    if (group.x == 0u) { y[r * WORDS + i] = v; }
  }
  squares = team_sum(squares);
  if (member == 0u) { words[team] = squares; }
  workgroupBarrier();
  var whole = 0.0;
  for (var i = 0u; i < teams; i++) { whole += words[i]; }
  let inverse = inverseSqrt(whole / f32(4u * WORDS) + EPSILON);
  let turns = (OUT + groups.x * teams - 1u) / (groups.x * teams);
  for (var turn = 0u; turn < turns; turn++) {
    let n = (turn * groups.x + group.x) * teams + team;
    let m = min(n, OUT - 1u);
    var a = 0.0;
    var b = 0.0;
    for (var i = member; i < WORDS / UNIT; i += members) {
      a += product(m * WORDS, 0u, i);
      if (GATED) { b += product((OUT + m) * WORDS, 0u, i); }
    }
    a = team_sum(a) * inverse * scale[m];
    if (GATED) { b = team_sum(b) * inverse * scale[OUT + m]; } else { b = 1.0; }
    if (member == 0u && n < OUT) { h[r * OUT + n] = activate(a) * b; }
  }
}
