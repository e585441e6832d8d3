// y[r, FIRST + n] (+)= FACTOR * scale[n] * dot(weight[n, :], f(x[r, :])) (+ bias[n]): a row of activations times a matrix, for one decoding step.
// f is RMSNorm with `gain` where NORM, else the identity. Every team computes the norm anew: cheaper than a dispatch.
// Shapes: x (rows, IN), gain (IN), weight (OUT, IN) in Packed words of four, scale (OUT), behind it the bias where BIASED, y (rows, STRIDE). IN is a multiple of 4.
// Dispatch: (any, rows / ROWS, 1); teams take OUTPUTS of them in turns, of which OUT is a multiple. Nothing is written once state[0] says that generation has stopped.
// Accuracy: f32 sums over IN in the order of members; about 1e-6 relative.
// Source: RMSNorm: Zhang and Sennrich, 2019.

#import shared/normed_row
#import shared/one_row
#import shared/product

override WG: u32 = 64;
override IN: u32 = 4;
override OUT: u32 = 1;
override NORM: bool = false;
override RESIDUAL: bool = false;
override EPSILON: f32 = 1e-6;
override FACTOR: f32 = 1.0;
override FIRST: u32 = 0;
override STRIDE: u32 = 1;
override BIASED: bool = false;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> gain: array<vec4f>;
@group(0) @binding(2) var<storage, read> weight: array<Packed>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read> state: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) index: u32, place: Place) {
  let members = members_of(place, index);
  let group = place.group;
  let groups = place.groups;
  if (state[0] != 0u) { return; }
  let member = index % members;
  let words = IN / 4u;
  let row = group.y * ROWS * words;
  var squares = Sums();
  if (NORM) {
    for (var i = member; i < words; i += members) { squares += squares_of(row, i); }
  }
  var inverse = Sums(FACTOR);
  let teams = groups.x * (WG / members);
  let team = group.x * (WG / members) + index / members;
  let turns = (OUT + teams * OUTPUTS - 1u) / (teams * OUTPUTS);
  for (var turn = 0u; turn < turns; turn++) {
    let n = (turn * teams + team) * OUTPUTS;
    let at = min(n, OUT - OUTPUTS) * words;
    var sum = Sums();
    for (var i = member; i < words / UNIT; i += members) { sum += product(at, row, i); }
    // here and not before the loop, so that nobody waits for the norm before asking for the weights
    if (NORM && turn == 0u) { inverse *= inverseSqrt(team_sums(squares) / f32(IN) + EPSILON); }
    let total = team_sums(sum) * inverse;
    if (member == 0u && n < OUT) {
      for (var r = 0u; r < ROWS * OUTPUTS; r++) {
        let m = n + r % OUTPUTS;
        let o = (group.y * ROWS + r / OUTPUTS) * STRIDE + FIRST + m;
        var value = of_row(total, r) * scale[m];
        if (BIASED) { value += scale[OUT + m]; }
        if (RESIDUAL) { y[o] += value; } else { y[o] = value; }
      }
    }
  }
}
