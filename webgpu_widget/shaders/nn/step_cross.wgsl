// Cross-attention of one new position: out[r, h, :] = softmax(SCALE q . k) v over the source's positions where mask is not 0.
// HEADS / KV_HEADS query heads share a head of keys and values, as lie beside each other.
// Shapes: q (rows, HEADS, HEAD) as vec4f, kv (sources, source, 2, KV_HEADS, HEAD) as vec4f, mask (sources, source),
// out (rows, HEADS, HEAD) as vec4f. Row r belongs to source r / beams. state: stopped.
// Dispatch: (any, rows, 1); teams take heads in turns.
// Accuracy: f32 throughout, softmax with a running maximum; about 1e-6 relative. A source whose mask is all 0 gives 0.
// Source: grouped queries: Ainslie et al., 2023; running softmax: Milakov and Gimelshein, 2018.

#import shared/team

override WG: u32 = 32;
override HEADS: u32 = 1;
override KV_HEADS: u32 = 1;
override SCALE: f32 = 1.0;
const HEAD: u32 = 16u;

struct Params { source: u32, beams: u32 }

@group(0) @binding(0) var<storage, read> q: array<vec4f>;
@group(0) @binding(1) var<storage, read> kv: array<vec4f>;
@group(0) @binding(2) var<storage, read> mask: array<u32>;
@group(0) @binding(3) var<storage, read> state: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) index: u32, place: Place) {
  let members = members_of(place, index);
  let group = place.group;
  let groups = place.groups;
  if (state[0] != 0u) { return; }
  let row = group.y;
  let item = row / params.beams;
  let member = index % members;
  let teams = groups.x * (WG / members);
  let team = group.x * (WG / members) + index / members;
  let turns = (HEADS + teams - 1u) / teams;
  for (var turn = 0u; turn < turns; turn++) {
    let wanted = turn * teams + team;
    let h = min(wanted, HEADS - 1u);
    let kept = h / (HEADS / KV_HEADS);
    var mine: array<vec4f, HEAD>;
    var sum: array<vec4f, HEAD>;
    for (var i = 0u; i < HEAD; i++) {
      mine[i] = SCALE * q[(row * HEADS + h) * HEAD + i];
      sum[i] = vec4f();
    }
    var top = -3.0e38;
    var weight = 0.0;
    for (var j = member; j < params.source; j += members) {
      if (mask[item * params.source + j] == 0u) { continue; }
      let at = ((item * params.source + j) * 2u * KV_HEADS + kept) * HEAD;
      var score = 0.0;
      for (var i = 0u; i < HEAD; i++) { score += dot(mine[i], kv[at + i]); }
      let new_top = max(top, score);
      let shrink = exp(top - new_top);
      let e = exp(score - new_top);
      weight = weight * shrink + e;
      for (var i = 0u; i < HEAD; i++) { sum[i] = sum[i] * shrink + e * kv[at + KV_HEADS * HEAD + i]; }
      top = new_top;
    }
    let part = exp(top - team_max(top));
    let total = max(team_sum(weight * part), 1e-37);
    for (var i = 0u; i < HEAD; i++) {
      let o = team_sum4(sum[i] * part) / total;
      if (member == 0u && wanted < HEADS) { out[(row * HEADS + h) * HEAD + i] = o; }
    }
  }
}
