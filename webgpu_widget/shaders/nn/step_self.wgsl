// Self-attention of one new position over the cache: out[r, h, :] = softmax(SCALE q . k + bias) v, and the new key and value are kept.
// HEADS / KV_HEADS query heads share a head of keys and values, as lie beside each other. The bias is there where BIASED.
// Shapes: qkv (rows, (HEADS + 2 * KV_HEADS) * 4 * HEAD) as vec4f, bias (HEADS, 2 * DISTANCE + 1) by key minus query, cache
// (2, rows, KV_HEADS, capacity, HEAD) as vec4f, keys then values, origin (2, rows, capacity): the row of the cache where a position of a row's past lies
// (beams share pasts; the half in use is that of the step's parity), out (rows, HEADS, HEAD) as vec4f. state: stopped, step.
// Dispatch: (any, rows, 1); teams take heads in turns.
// Accuracy: f32 throughout, softmax with a running maximum; about 1e-6 relative.
// Source: grouped queries: Ainslie et al., 2023; running softmax: Milakov and Gimelshein, 2018.

#import shared/team

override WG: u32 = 32;
override HEADS: u32 = 1;
override KV_HEADS: u32 = 1;
override SCALE: f32 = 1.0;
override DISTANCE: u32 = 128;
override BIASED: bool = true;
const HEAD: u32 = 16u;

struct Params { capacity: u32 }

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read> origin: array<u32>;
@group(0) @binding(3) var<storage, read> state: array<u32>;
@group(0) @binding(4) var<storage, read_write> cache: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) index: u32, place: Place) {
  let members = members_of(place, index);
  let group = place.group;
  let groups = place.groups;
  if (state[0] != 0u) { return; }
  let step = state[1];
  let row = group.y;
  let rows = groups.y;
  let member = index % members;
  let teams = groups.x * (WG / members);
  let team = group.x * (WG / members) + index / members;
  let turns = (HEADS + teams - 1u) / teams;
  let half = rows * KV_HEADS * params.capacity * HEAD;
  let past = ((step & 1u) * rows + row) * params.capacity;
  for (var turn = 0u; turn < turns; turn++) {
    let wanted = turn * teams + team;
    let h = min(wanted, HEADS - 1u);
    let kept = h / (HEADS / KV_HEADS);
    let first = row * (HEADS + 2u * KV_HEADS) * HEAD;
    let new_q = first + h * HEAD;
    let new_k = first + (HEADS + kept) * HEAD;
    let new_v = new_k + KV_HEADS * HEAD;
    var q: array<vec4f, HEAD>;
    var sum: array<vec4f, HEAD>;
    for (var i = 0u; i < HEAD; i++) {
      q[i] = SCALE * qkv[new_q + i];
      sum[i] = vec4f();
    }
    var top = -3.0e38;
    var weight = 0.0;
    for (var j = member; j <= step; j += members) {
      let at = ((origin[past + j] * KV_HEADS + kept) * params.capacity + j) * HEAD;
      let is_new = j == step;
      var score = 0.0;
      if (BIASED) { score = bias[h * (2u * DISTANCE + 1u) + DISTANCE - min(step - j, DISTANCE)]; }
      for (var i = 0u; i < HEAD; i++) {
        if (is_new) { score += dot(q[i], qkv[new_k + i]); } else { score += dot(q[i], cache[at + i]); }
      }
      let new_top = max(top, score);
      let shrink = exp(top - new_top);
      let e = exp(score - new_top);
      weight = weight * shrink + e;
      for (var i = 0u; i < HEAD; i++) {
        if (is_new) { sum[i] = sum[i] * shrink + e * qkv[new_v + i]; } else { sum[i] = sum[i] * shrink + e * cache[half + at + i]; }
      }
      top = new_top;
    }
    let mine = exp(top - team_max(top));
    let total = team_sum(weight * mine);
    for (var i = 0u; i < HEAD; i++) {
      let o = team_sum4(sum[i] * mine) / total;
      if (member == 0u && wanted < HEADS) { out[(row * HEADS + h) * HEAD + i] = o; }
    }
    if (wanted < HEADS && h % (HEADS / KV_HEADS) == 0u) {
      let at = ((row * KV_HEADS + kept) * params.capacity + step) * HEAD;
      for (var i = member; i < HEAD; i += members) {
        cache[at + i] = qkv[new_k + i];
        cache[half + at + i] = qkv[new_v + i];
      }
    }
  }
}
