// A decoding step's self-attention with rotary heads and what the output projection makes of it: slot h of a row gets Wo_h softmax(SCALE q . k) v over
// the cache and the new position, q and k rotated by the position; the last slot gets the row itself; the new key and value are kept. HEADS / KV_HEADS
// query heads share a head of keys and values. Where WINDOW is not 0, only so many of the last positions are seen; where NORMED, heads of queries and keys
// are normed before they are rotated.
// Shapes: x (rows, d) and out (rows, HEADS + 1, d) with d = 4 * WORDS; qkv (rows, (HEADS + 2 * KV_HEADS) * 4 * HEAD); vectors: scale of output (d), gains
// of heads (2, 4 * HEAD) where NORMED; weight (d, HEADS * 4 * HEAD) in Packed words of four; table (positions, 2 * HEAD) of cosine and sine; cache
// (2, rows, KV_HEADS, capacity, HEAD) as vec4f, keys then values. state: stopped, step.
// Dispatch: (HEADS, rows, any): the workgroups of a head each look at all of its past, and share the outputs.
// Accuracy: f32 throughout, softmax with a running maximum; about 1e-6 relative.
// Source: as step_rotary.wgsl and fused_self.wgsl.

#import shared/fused_attention

override WG: u32 = 64;
override HEADS: u32 = 1;
override WORDS: u32 = 1;
override KV_HEADS: u32 = 1;
override SCALE: f32 = 1.0;
override WINDOW: u32 = 0;
override INTERLEAVED: bool = false;
override NORMED: bool = false;
override EPSILON: f32 = 1e-6;
const HEAD: u32 = 16u;

struct Params { capacity: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(3) var<storage, read> weight: array<Packed>;
@group(0) @binding(4) var<storage, read> table: array<vec2f>;
@group(0) @binding(5) var<storage, read> state: array<u32>;
@group(0) @binding(6) var<storage, read_write> cache: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> mine: array<vec4f, 3 * HEAD>;

// Word w of the query (0) or key (1) that begins there, normed and rotated.
fn rotated(part: u32, begin: u32, w: u32, position: u32) -> vec4f {
  let half = HEAD / 2u;
  let facing = (w + half) % HEAD;
  var v = qkv[begin + w];
  var other = qkv[begin + facing];
  if (NORMED) {
    var squares = 0.0;
    for (var i = 0u; i < HEAD; i++) { squares += dot(qkv[begin + i], qkv[begin + i]); }
    let inverse = inverseSqrt(squares / f32(4u * HEAD) + EPSILON);
    let gains = WORDS + part * HEAD;
    v *= inverse * vectors[gains + w];
    other *= inverse * vectors[gains + facing];
  }
  let at = position * 2u * HEAD;
  if (INTERLEAVED) {
    let a = table[at + 2u * w];
    let b = table[at + 2u * w + 1u];
    return vec4f(v.x * a.x - v.y * a.y, v.x * a.y + v.y * a.x, v.z * b.x - v.w * b.y, v.z * b.y + v.w * b.x);
  }
  let pair = at + w % half * 4u;
  let a = table[pair];
  let b = table[pair + 1u];
  let c = table[pair + 2u];
  let d = table[pair + 3u];
  return v * vec4f(a.x, b.x, c.x, d.x) + select(other, -other, w < half) * vec4f(a.y, b.y, c.y, d.y);
}

@compute @workgroup_size(WG)
fn main(
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_size) members: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  if (state[0] != 0u) { return; }
  let step = state[1];
  let h = group.x;
  let r = group.y;
  let kept = h / (HEADS / KV_HEADS);

  // the head's q, k and v, of which the first two are rotated; the last slot is the row
  for (var i = index; i < 3u * HEAD; i += WG) {
    let part = i / HEAD;
    let begin = (r * (HEADS + 2u * KV_HEADS) + select(HEADS + (part - 1u) * KV_HEADS + kept, h, part == 0u)) * HEAD;
    if (part == 2u) { mine[i] = qkv[begin + i % HEAD]; } else { mine[i] = rotated(part, begin, i % HEAD, step); }
  }
  if (h == 0u && group.z == 0u) { keep_row(r, index); }
  workgroupBarrier();

  // attention, WG keys at a time: a key an invocation, then a word of the values a slice of the keys
  let slice = index / HEAD;
  let slices = WG / HEAD;
  var running = Running(-3.0e38, 0.0, vec4f());
  let half = groups.y * KV_HEADS * params.capacity * HEAD;
  let past = (r * KV_HEADS + kept) * params.capacity;
  for (var first = select(0u, max(step + 1u, WINDOW) - WINDOW, WINDOW > 0u); first <= step; first += WG) {
    let j = first + index;
    var score = -3.0e38;
    if (j < step) {
      let at = (past + j) * HEAD;
      score = 0.0;
      for (var i = 0u; i < HEAD; i++) { score += dot(mine[i], cache[at + i]); }
      score *= SCALE;
    } else if (j == step) {
      score = 0.0;
      for (var i = 0u; i < HEAD; i++) { score += dot(mine[i], mine[HEAD + i]); }
      score *= SCALE;
    }
    running = weighed(running, score, j <= step, index, members);
    workgroupBarrier();
    if (slice < slices) {
      for (var k = slice; k < min(WG, step - first); k += slices) { running.sum += share[k] * cache[half + (past + first + k) * HEAD + index % HEAD]; }
      if (step - first < WG && slice == 0u) { running.sum += share[step - first] * mine[2u * HEAD + index % HEAD]; }
    }
  }
  if (h % (HEADS / KV_HEADS) == 0u && group.z == 0u) {
    for (var i = index; i < 2u * HEAD; i += WG) { cache[i / HEAD * half + (past + step) * HEAD + i % HEAD] = mine[HEAD + i]; }
  }
  finish(running, index, members);
  project(h, r, group.z, groups.z, index);
}
