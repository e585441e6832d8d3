// Self-attention of one new position over the cache, its query and key rotated by the position on the way: out[r, h, :] = softmax(SCALE q . k) v,
// and the rotated key and the value are kept. As rope.wgsl and step_self.wgsl one after the other, for rows that have pasts of their own.
// Where WINDOW is not 0, only so many of the last positions are seen. HEADS / KV_HEADS query heads share a head of keys and values.
// Shapes: qkv (rows, (HEADS + 2 * KV_HEADS) * 4 * HEAD) as vec4f; table (positions, 2 * HEAD) of cosine and sine; gains (2, HEAD) as vec4f;
// cache (2, rows, KV_HEADS, capacity, HEAD) as vec4f, keys then values; out (rows, HEADS, HEAD) as vec4f. state: stopped, step.
// Dispatch: (any, rows, 1); teams take heads in turns.
// Accuracy: f32 throughout, softmax with a running maximum; about 1e-6 relative.
// Source: as rope.wgsl and step_self.wgsl.

#import shared/team

override WG: u32 = 32;
override HEADS: u32 = 1;
override KV_HEADS: u32 = 1;
override SCALE: f32 = 1.0;
override WINDOW: u32 = 0;
override INTERLEAVED: bool = false;
override NORMED: bool = false;
override EPSILON: f32 = 1e-6;
const HEAD: u32 = 16u;

struct Params { capacity: u32 }

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(1) var<storage, read> table: array<vec2f>;
@group(0) @binding(2) var<storage, read> gains: array<vec4f>;
@group(0) @binding(3) var<storage, read> state: array<u32>;
@group(0) @binding(4) var<storage, read_write> cache: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

fn inverse_of(begin: u32) -> f32 {
  if (!NORMED) { return 1.0; }
  var squares = 0.0;
  for (var i = 0u; i < HEAD; i++) { squares += dot(qkv[begin + i], qkv[begin + i]); }
  return inverseSqrt(squares / f32(4u * HEAD) + EPSILON);
}

fn normed(begin: u32, i: u32, inverse: f32, gain: u32) -> vec4f {
  if (NORMED) { return qkv[begin + i] * inverse * gains[gain + i]; }
  return qkv[begin + i];
}

// Vector i of the head that begins there, rotated.
fn rotated(begin: u32, i: u32, position: u32, inverse: f32, gain: u32) -> vec4f {
  let v = normed(begin, i, inverse, gain);
  let at = position * 2u * HEAD;
  if (INTERLEAVED) {
    let a = table[at + 2u * i];
    let b = table[at + 2u * i + 1u];
    return vec4f(v.x * a.x - v.y * a.y, v.x * a.y + v.y * a.x, v.z * b.x - v.w * b.y, v.z * b.y + v.w * b.x);
  }
  let half = HEAD / 2u;
  let pair = at + i % half * 4u;
  let a = table[pair];
  let b = table[pair + 1u];
  let c = table[pair + 2u];
  let d = table[pair + 3u];
  let w = normed(begin, (i + half) % HEAD, inverse, gain);
  return v * vec4f(a.x, b.x, c.x, d.x) + select(w, -w, i < half) * vec4f(a.y, b.y, c.y, d.y);
}

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) index: u32, place: Place) {
  let members = members_of(place, index);
  let group = place.group;
  let groups = place.groups;
  if (state[0] != 0u) { return; }
  let step = state[1];
  let row = group.y;
  let member = index % members;
  let teams = groups.x * (WG / members);
  let team = group.x * (WG / members) + index / members;
  let turns = (HEADS + teams - 1u) / teams;
  let half = groups.y * KV_HEADS * params.capacity * HEAD;
  let begin = select(0u, max(step + 1u, WINDOW) - WINDOW, WINDOW > 0u);
  for (var turn = 0u; turn < turns; turn++) {
    let wanted = turn * teams + team;
    let h = min(wanted, HEADS - 1u);
    let kept = h / (HEADS / KV_HEADS);
    let first = row * (HEADS + 2u * KV_HEADS) * HEAD;
    let new_q = first + h * HEAD;
    let new_k = first + (HEADS + kept) * HEAD;
    let new_v = new_k + KV_HEADS * HEAD;
    let past = (row * KV_HEADS + kept) * params.capacity;
    let inverse_q = inverse_of(new_q);
    let inverse_k = inverse_of(new_k);
    var q: array<vec4f, HEAD>;
    var sum: array<vec4f, HEAD>;
    for (var i = 0u; i < HEAD; i++) {
      q[i] = SCALE * rotated(new_q, i, step, inverse_q, 0u);
      sum[i] = vec4f();
    }
    var top = -3.0e38;
    var weight = 0.0;
    for (var j = begin + member; j < step; j += members) {
      let at = (past + j) * HEAD;
      var score = 0.0;
      for (var i = 0u; i < HEAD; i++) { score += dot(q[i], cache[at + i]); }
      let new_top = max(top, score);
      let shrink = exp(top - new_top);
      let e = exp(score - new_top);
      weight = weight * shrink + e;
      for (var i = 0u; i < HEAD; i++) { sum[i] = sum[i] * shrink + e * cache[half + at + i]; }
      top = new_top;
    }
    if (member == step % members) {
      let to = (past + step) * HEAD;
      let is_keeper = wanted < HEADS && h % (HEADS / KV_HEADS) == 0u;
      var score = 0.0;
      for (var i = 0u; i < HEAD; i++) {
        let k = rotated(new_k, i, step, inverse_k, HEAD);
        score += dot(q[i], k);
        if (is_keeper) {
          cache[to + i] = k;
          cache[half + to + i] = qkv[new_v + i];
        }
      }
      let new_top = max(top, score);
      let shrink = exp(top - new_top);
      let e = exp(score - new_top);
      weight = weight * shrink + e;
      for (var i = 0u; i < HEAD; i++) { sum[i] = sum[i] * shrink + e * qkv[new_v + i]; }
      top = new_top;
    }
    let mine = exp(top - team_max(top));
    let total = team_sum(weight * mine);
    for (var i = 0u; i < HEAD; i++) {
      let o = team_sum4(sum[i] * mine) / total;
      if (member == 0u && wanted < HEADS) { out[(row * HEADS + h) * HEAD + i] = o; }
    }
  }
}
