// y[r, :] = gain * x[r, :] / sqrt(mean(x[r, :]^2) + EPSILON): RMSNorm of many rows.
// Shapes: x and y (rows, WIDTH), gain (WIDTH). WIDTH is a multiple of 4. Params: rows.
// Dispatch: (any, 1, 1); teams take rows in turns.
// Accuracy: f32 sum over WIDTH in the order of members; about 1e-6 relative.
// Source: Zhang and Sennrich, 2019.

#import shared/team

override WG: u32 = 64;
override WIDTH: u32 = 4;
override EPSILON: f32 = 1e-6;

struct Params { rows: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> gain: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) index: u32, place: Place) {
  let members = members_of(place, index);
  let group = place.group;
  let groups = place.groups;
  let member = index % members;
  let words = WIDTH / 4u;
  let teams = groups.x * (WG / members);
  let team = group.x * (WG / members) + index / members;
  let turns = (params.rows + teams - 1u) / teams;
  for (var turn = 0u; turn < turns; turn++) {
    let row = turn * teams + team;
    let at = min(row, params.rows - 1u) * words;
    var squares = 0.0;
    for (var i = member; i < words; i += members) {
      let v = x[at + i];
      squares += dot(v, v);
    }
    let inverse = inverseSqrt(team_sum(squares) / f32(WIDTH) + EPSILON);
    if (row < params.rows) {
      for (var i = member; i < words; i += members) { y[at + i] = x[at + i] * inverse * gain[i]; }
    }
  }
}
