// h[r, n] = act(a) * b with a = dot(weight[n, :], f(x[r, :])), b the same with row OUT + n, f RMSNorm where NORM, else the identity; h = act(a) where not GATED.
// The first half of a feed-forward for one decoding step. ACT is 0 ReLU, 1 GELU in its tanh form, 2 SiLU.
// Shapes: x (rows, IN), gain (IN), weight (2 * OUT or OUT, IN) in Packed words of four, scale (as weight's rows), h (rows, OUT).
// Dispatch: (any, rows, 1); teams take OUTPUTS of them in turns, of which OUT is a multiple. Nothing is written once state[0] says that generation has stopped.
// Accuracy: f32 sums over IN in the order of members; about 1e-6 relative.
// Source: Shazeer, "GLU Variants Improve Transformer", 2020.

#import shared/activation
#import shared/normed_row
#import shared/one_row
#import shared/product

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

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) index: u32, place: Place) {
  let members = members_of(place, index);
  let group = place.group;
  let groups = place.groups;
  if (state[0] != 0u) { return; }
  let member = index % members;
  let words = IN / 4u;
  let row = group.y * words;
  var squares = Sums();
  if (NORM) {
    for (var i = member; i < words; i += members) { squares += squares_of(row, i); }
  }
  var inverse = Sums(1.0);
  let teams = groups.x * (WG / members);
  let team = group.x * (WG / members) + index / members;
  let turns = (OUT + teams * OUTPUTS - 1u) / (teams * OUTPUTS);
  for (var turn = 0u; turn < turns; turn++) {
    let n = (turn * teams + team) * OUTPUTS;
    let m = min(n, OUT - OUTPUTS);
    let at = m * words;
    let other = (OUT + m) * words;
    var a = Sums();
    var b = Sums();
    for (var i = member; i < words / UNIT; i += members) {
      a += product(at, row, i);
      if (GATED) { b += product(other, row, i); }
    }
    // here and not before the loop, so that nobody waits for the norm before asking for the weights
    if (NORM && turn == 0u) { inverse = inverseSqrt(team_sums(squares) / f32(IN) + EPSILON); }
    a = team_sums(a) * inverse;
    if (GATED) { b = team_sums(b) * inverse; }
    if (member == 0u && n < OUT) {
      for (var r = 0u; r < OUTPUTS; r++) {
        let gate = activate(of_row(a, r) * scale[n + r]);
        if (GATED) { h[group.y * OUT + n + r] = gate * (of_row(b, r) * scale[OUT + n + r]); } else { h[group.y * OUT + n + r] = gate; }
      }
    }
  }
}
