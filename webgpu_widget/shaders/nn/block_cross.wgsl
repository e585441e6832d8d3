// A decoding step's cross-attention, all of it, a head a workgroup: slot h of a row gets Wo_h softmax(q . k) v with q = Wq_h RMSNorm(row),
// the row being the sum of its slots; the last slot gets the row itself. The next kernel adds the slots: no kernel in between has to.
// Shapes: x (rows, SLOTS, d) and out (rows, HEADS + 1, d) with d = 4 * WORDS, vectors as vec4f: gain (d), scale of query (HEADS * 4 * HEAD) and
// of output (d); query (HEADS * 4 * HEAD, d) and output (d, HEADS * 4 * HEAD) in Packed words of four; kv, mask and beams as in step_cross.
// state: stopped.
// Dispatch: (HEADS, rows, 1).
// Accuracy: f32 throughout, softmax with a running maximum; about 1e-6 relative. A source whose mask is all 0 gives 0.
// Source: as T5 has it (Raffel et al., 2020): unscaled, a head of keys and values a head; running softmax: Milakov and Gimelshein, 2018.
enable subgroups;

override WG: u32 = 64;
override HEADS: u32 = 1;
override WORDS: u32 = 1;
override SLOTS: u32 = 1;
override EPSILON: f32 = 1e-6;
const HEAD: u32 = 16u;

struct Params { source: u32, beams: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> vectors: array<vec4f>;
@group(0) @binding(2) var<storage, read> query: array<Packed>;
@group(0) @binding(3) var<storage, read> output: array<Packed>;
@group(0) @binding(4) var<storage, read> kv: array<vec4f>;
@group(0) @binding(5) var<storage, read> mask: array<u32>;
@group(0) @binding(6) var<storage, read> state: array<u32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

// format of the weights: shaders.py has the lines for float16 (two to a word) and int8 (four to a word)
alias Packed = vec4f;
fn unpack(p: Packed) -> vec4f { return p; }

var<workgroup> row: array<vec4f, WORDS>;
var<workgroup> mine: array<vec4f, HEAD>;
var<workgroup> share: array<f32, WG>;
var<workgroup> parts: array<vec4f, WG>;
var<workgroup> words: array<f32, WG>;

fn all_sum(value: f32, index: u32, lanes: u32) -> f32 {
  let sum = subgroupAdd(value);
  workgroupBarrier();
  if (index % lanes == 0u) { words[index / lanes] = sum; }
  workgroupBarrier();
  var total = 0.0;
  for (var team = 0u; team < WG / lanes; team++) { total += words[team]; }
  return total;
}

fn all_max(value: f32, index: u32, lanes: u32) -> f32 {
  let top = subgroupMax(value);
  workgroupBarrier();
  if (index % lanes == 0u) { words[index / lanes] = top; }
  workgroupBarrier();
  var total = words[0];
  for (var team = 1u; team < WG / lanes; team++) { total = max(total, words[team]); }
  return total;
}

@compute @workgroup_size(WG)
fn main(
  @builtin(local_invocation_index) index: u32,
  @builtin(subgroup_size) lanes: u32,
  @builtin(workgroup_id) group: vec3u,
) {
  if (state[0] != 0u) { return; }
  let lane = index % lanes;
  let team = index / lanes;
  let teams = WG / lanes;
  let h = group.x;
  let r = group.y;

  // RMSNorm of the row
  var squares = 0.0;
  for (var i = index; i < WORDS; i += WG) {
    var v = vec4f();
    for (var slot = 0u; slot < SLOTS; slot++) { v += x[(r * SLOTS + slot) * WORDS + i]; }
    row[i] = v;
    squares += dot(v, v);
    if (h == 0u) {
      for (var c = 0u; c < 4u; c++) { out[(r * (HEADS + 1u) + HEADS) * 4u * WORDS + 4u * i + c] = v[c]; }
    }
  }
  let inverse = inverseSqrt(all_sum(squares, index, lanes) / f32(4u * WORDS) + EPSILON);
  for (var i = index; i < WORDS; i += WG) { row[i] *= inverse * vectors[i]; }
  workgroupBarrier();

  // the head's q: four outputs a team at a time
  let turns = (HEAD + teams - 1u) / teams;
  for (var turn = 0u; turn < turns; turn++) {
    let wanted = turn * teams + team;
    let n = h * HEAD + min(wanted, HEAD - 1u);
    let at = n * 4u * WORDS;
    var sum = vec4f();
    // two words of each of the four at a time: a multiprocessor needs many bytes under way to be fed
    for (var i = lane; i < WORDS; i += 2u * lanes) {
      let j = min(i + lanes, WORDS - 1u);
      let v = row[i];
      let w = select(vec4f(), row[j], i + lanes < WORDS);
      sum += vec4f(
        dot(unpack(query[at + i]), v) + dot(unpack(query[at + j]), w),
        dot(unpack(query[at + WORDS + i]), v) + dot(unpack(query[at + WORDS + j]), w),
        dot(unpack(query[at + 2u * WORDS + i]), v) + dot(unpack(query[at + 2u * WORDS + j]), w),
        dot(unpack(query[at + 3u * WORDS + i]), v) + dot(unpack(query[at + 3u * WORDS + j]), w),
      );
    }
    sum = subgroupAdd(sum);
    if (lane == 0u && wanted < HEAD) { mine[wanted] = sum * vectors[WORDS + n]; }
  }
  workgroupBarrier();

  // attention, WG keys at a time: a key an invocation, then a word of the values a slice of the keys
  let slice = index / HEAD;
  let slices = WG / HEAD;
  var top = -3.0e38;
  var weight = 0.0;
  var sum = vec4f();
  let item = r / params.beams;
  for (var first = 0u; first < params.source; first += WG) {
    let j = first + index;
    var score = -3.0e38;
    if (j < params.source && mask[item * params.source + j] != 0u) {
      let at = ((item * params.source + j) * 2u * HEADS + h) * HEAD;
      score = 0.0;
      for (var i = 0u; i < HEAD; i++) { score += dot(mine[i], kv[at + i]); }
    }
    let new_top = max(top, all_max(score, index, lanes));
    let e = select(0.0, exp(score - new_top), score > -2.9e38);
    share[index] = e;
    let shrink = exp(top - new_top);
    weight = weight * shrink + all_sum(e, index, lanes);
    sum *= shrink;
    if (slice < slices) {
      for (var k = slice; k < min(WG, params.source - first); k += slices) {
        sum += share[k] * kv[(((item * params.source + first + k) * 2u + 1u) * HEADS + h) * HEAD + index % HEAD];
      }
    }
    top = new_top;
  }
  parts[index] = sum;
  workgroupBarrier();
  for (var left = slices; left > 1u; left = (left + 1u) / 2u) {
    let half = (left + 1u) / 2u;
    if (slice < left - half) { parts[index] += parts[index + half * HEAD]; }
    workgroupBarrier();
  }
  if (index < HEAD) { mine[index] = parts[index] / max(weight, 1e-37); }
  workgroupBarrier();

  // the head's part of the output projection: a quad an output
  for (var first = 0u; first < 4u * WORDS; first += WG / 4u) {
    let d = first + index / 4u;
    let m = min(d, 4u * WORDS - 1u);
    var o = 0.0;
    for (var i = index % 4u; i < HEAD; i += 4u) { o += dot(unpack(output[(m * HEADS + h) * HEAD + i]), mine[i]); }
    o += quadSwapX(o);
    o += quadSwapY(o);
    if (index % 4u == 0u && d < 4u * WORDS) { out[(r * (HEADS + 1u) + h) * 4u * WORDS + d] = o * vectors[WORDS + HEADS * HEAD + d / 4u][d % 4u]; }
  }
}
