// Rounds each row of a matrix to 8 bits: packed[r] holds round(127 * w[r, :] / scale[r]), four to a word, scale[r] the largest magnitude.
// Shapes: w (rows, 4 * words) as vec4f, packed (any, words), scale (any); row r goes to row params.first + r, so that matrices can be
// stacked. A row of zeros gets the scale 1, one with NaN or infinities the scale NaN.
// Dispatch: (any, 1, 1); teams take rows in turns.
// Accuracy: half a step, scale / 254; ties to even in f32, which may round otherwise than float64 within 1e-7 of a tie.
// Source: none.

#import shared/team

override WG: u32 = 64;

struct Params { rows: u32, words: u32, first: u32 }

@group(0) @binding(0) var<storage, read> w: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> packed: array<u32>;
@group(0) @binding(2) var<storage, read_write> scale: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

var<private> nan_bits: u32 = 0x7fc00000u;

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) index: u32, place: Place) {
  let members = members_of(place, index);
  let group = place.group;
  let groups = place.groups;
  let member = index % members;
  let teams = groups.x * (WG / members);
  let team = group.x * (WG / members) + index / members;
  let turns = (params.rows + teams - 1u) / teams;
  for (var turn = 0u; turn < turns; turn++) {
    let row = turn * teams + team;
    let at = min(row, params.rows - 1u) * params.words;
    var largest = 0.0;
    var infinite = 0.0;
    for (var i = member; i < params.words; i += members) {
      let v = abs(w[at + i]);
      largest = max(largest, max(max(v.x, v.y), max(v.z, v.w)));
      // NaN and infinities: bits, since compilers may take it that neither occurs
      if (any((bitcast<vec4u>(v) & vec4u(0x7fffffffu)) >= vec4u(0x7f800000u))) { infinite = 1.0; }
    }
    largest = team_max(largest);
    let is_finite = team_max(infinite) == 0.0;
    let divisor = select(1.0, largest, largest > 0.0);
    if (row < params.rows) {
      for (var i = member; i < params.words; i += members) {
        let q = vec4i(clamp(round(w[at + i] / divisor * 127.0), vec4f(-127.0), vec4f(127.0)));
        packed[params.first * params.words + at + i] = (u32(q.x) & 255u) | ((u32(q.y) & 255u) << 8u) | ((u32(q.z) & 255u) << 16u) | (u32(q.w) << 24u);
      }
      // a row that is not finite has no steps: all of it is NaN
      if (member == 0u) { scale[params.first + row] = bitcast<f32>(select(nan_bits, bitcast<u32>(divisor), is_finite)); }
    }
  }
}
