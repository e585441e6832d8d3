// A decoding step's cross-attention and what the output projection makes of it: slot h of a row gets Wo_h softmax(q . k) v; the last slot gets the row
// itself. The next kernel adds the slots: no kernel in between has to.
// Shapes: x (rows, d) and out (rows, HEADS + 1, d) with d = 4 * WORDS; q (rows, HEADS * 4 * HEAD); vectors: scale of output (d); weight (d, HEADS * 4 * HEAD)
// in Packed words of four; kv, mask and beams as in step_cross. state: stopped.
// Dispatch: (HEADS, rows, any): the workgroups of a head each look at all of the source, and share the outputs.
// Accuracy: f32 throughout, softmax with a running maximum; about 1e-6 relative. A source whose mask is all 0 gives 0.
// Source: as T5 has it (Raffel et al., 2020): unscaled, a head of keys and values a head; running softmax: Milakov and Gimelshein, 2018.

#import shared/fused_attention

override WG: u32 = 64;
override HEADS: u32 = 1;
override WORDS: u32 = 1;
const HEAD: u32 = 16u;

struct Params { source: u32, beams: u32 }

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(3) var<storage, read> weight: array<Packed>;
@group(0) @binding(4) var<storage, read> kv: array<vec4f>;
@group(0) @binding(5) var<storage, read> mask: array<u32>;
@group(0) @binding(6) var<storage, read> state: array<u32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> mine: array<vec4f, HEAD>;

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

  // the head's q; the last slot is the row
  for (var i = index; i < HEAD; i += WG) { mine[i] = q[(r * HEADS + h) * HEAD + i]; }
  if (h == 0u && group.z == 0u) { keep_row(r, index); }
  workgroupBarrier();

  // attention, WG keys at a time: a key an invocation, then a word of the values a slice of the keys
  let slice = index / HEAD;
  let slices = WG / HEAD;
  var running = Running(-3.0e38, 0.0, vec4f());
  let item = r / params.beams;
  for (var first = 0u; first < params.source; first += WG) {
    let j = first + index;
    var score = -3.0e38;
    if (j < params.source && mask[item * params.source + j] != 0u) {
      let at = ((item * params.source + j) * 2u * HEADS + h) * HEAD;
      score = 0.0;
      for (var i = 0u; i < HEAD; i++) { score += dot(mine[i], kv[at + i]); }
    }
    running = weighed(running, score, score > -2.9e38, index, members);
    workgroupBarrier();
    if (slice < slices) {
      for (var k = slice; k < min(WG, params.source - first); k += slices) {
        running.sum += share[k] * kv[(((item * params.source + first + k) * 2u + 1u) * HEADS + h) * HEAD + index % HEAD];
      }
    }
  }
  finish(running, index, members);
  project(h, r, group.z, groups.z, index);
}
