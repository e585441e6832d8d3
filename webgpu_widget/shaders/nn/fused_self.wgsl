// A decoding step's self-attention and what the output projection makes of it: slot h of a row gets Wo_h softmax(q . k + bias) v over the cache and the
// new position; the last slot gets the row itself; the new key and value are kept.
// Shapes: x (rows, d) and out (rows, HEADS + 1, d) with d = 4 * WORDS; qkv (rows, 3 * HEADS * 4 * HEAD); vectors as vec4f: scale of output (d), position
// bias (HEADS, 2 * DISTANCE + 1) by key minus query; weight (d, HEADS * 4 * HEAD) in Packed words of four; cache (2, rows, HEADS, capacity, HEAD) as vec4f,
// keys then values; origin as in step_self. state: stopped, step.
// Dispatch: (HEADS, rows, any): the workgroups of a head each look at all of its past, and share the outputs.
// Accuracy: f32 throughout, softmax with a running maximum; about 1e-6 relative.
// Source: as T5 has it (Raffel et al., 2020): unscaled, a head of keys and values a head; running softmax: Milakov and Gimelshein, 2018.

#import shared/fused_attention

override WG: u32 = 64;
override HEADS: u32 = 1;
override WORDS: u32 = 1;
override DISTANCE: u32 = 128;
const HEAD: u32 = 16u;

struct Params { capacity: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(3) var<storage, read> weight: array<Packed>;
@group(0) @binding(4) var<storage, read> origin: array<u32>;
@group(0) @binding(5) var<storage, read> state: array<u32>;
@group(0) @binding(6) var<storage, read_write> cache: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> mine: array<vec4f, 3 * HEAD>;
var<workgroup> places: array<u32, WG>;

@compute @workgroup_size(WG)
fn main(
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_size) members: u32,
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  if (state[0] != 0u) { return; }
  let h = group.x;
  let r = group.y;

  // the head's q, k and v; the last slot is the row
  for (var i = index; i < 3u * HEAD; i += WG) { mine[i] = qkv[((r * 3u + i / HEAD) * HEADS + h) * HEAD + i % HEAD]; }
  if (h == 0u && group.z == 0u) { keep_row(r, index); }
  workgroupBarrier();

  // attention, WG keys at a time: a key an invocation, then a word of the values a slice of the keys
  let slice = index / HEAD;
  let slices = WG / HEAD;
  var running = Running(-3.0e38, 0.0, vec4f());
  let step = state[1];
  let rows = groups.y;
  let half = rows * HEADS * params.capacity * HEAD;
  let past = ((step & 1u) * rows + r) * params.capacity;
  for (var first = 0u; first <= step; first += WG) {
    let j = first + index;
    var score = -3.0e38;
    var at = 0u;
    if (j < step) {
      at = ((origin[past + j] * HEADS + h) * params.capacity + j) * HEAD;
      score = 0.0;
      for (var i = 0u; i < HEAD; i++) { score += dot(mine[i], cache[at + i]); }
    } else if (j == step) {
      score = 0.0;
      for (var i = 0u; i < HEAD; i++) { score += dot(mine[i], mine[HEAD + i]); }
    }
    if (j <= step) {
      let b = 4u * WORDS + h * (2u * DISTANCE + 1u) + DISTANCE - min(step - j, DISTANCE);
      score += vectors[b / 4u][b % 4u];
    }
    running = weighed(running, score, j <= step, index, members);
    places[index] = at;
    workgroupBarrier();
    if (slice < slices) {
      for (var k = slice; k < min(WG, step - first); k += slices) { running.sum += share[k] * cache[half + places[k] + index % HEAD]; }
      if (step - first < WG && slice == 0u) { running.sum += share[step - first] * mine[2u * HEAD + index % HEAD]; }
    }
  }
  if (group.z == 0u) {
    for (var i = index; i < 2u * HEAD; i += WG) { cache[i / HEAD * half + ((r * HEADS + h) * params.capacity + step) * HEAD + i % HEAD] = mine[HEAD + i]; }
  }
  finish(running, index, members);
  project(h, r, group.z, groups.z, index);
}
