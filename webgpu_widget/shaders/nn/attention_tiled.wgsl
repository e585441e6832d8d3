// attention.wgsl for GPUs: a workgroup takes 32 queries of a head, and 8 threads share a query, each with its part of the keys.
// Keys, then values, come in tiles of 32 through workgroup memory, the next tile on its way while this one is used; a thread takes four keys
// of a tile at once into its running softmax. The 8 softmaxes of a query are brought together at the end, always in the same order.
// Keys count where mask is not 0 and, where CAUSAL, up to the query's own position, `first` + its number, and from `window` before it on. BIASED adds bias[h, key - query].
// HEADS / KV_HEADS query heads share a head of keys and values, as lie beside each other; scores are SCALE * (q . k).
// Shapes: q (batch, queries, ., HEADS, HEAD) as vec4f with q_stride vectors from row to row; k and v, of KV_HEADS, alike in `kv`: a key's head
// begins at k_at, a value's at v_at, and batches, positions and heads lie batch_stride, kv_stride and head_stride vectors apart; bias (HEADS, 2 * DISTANCE + 1); mask (batch, keys); out (batch, queries, HEADS, HEAD).
// Dispatch: (ceil(queries / 32), HEADS, batch) workgroups of 256.
// Accuracy: f32 throughout; about 1e-6 relative. A query with no key gives 0.
// Source: as attention.wgsl; softmaxes of parts brought together: Dao et al., "Flash-Decoding", 2023.

override HEADS: u32 = 1;
override KV_HEADS: u32 = 1;
override SCALE: f32 = 1.0;
override DISTANCE: u32 = 128;
override CAUSAL: bool = false;
override BIASED: bool = true;
const HEAD: u32 = 16u;
const QUERIES: u32 = 32u;
const SHARES: u32 = 8u;
const WG: u32 = QUERIES * SHARES;
const TILE: u32 = 4u * SHARES;
const LOADS: u32 = (TILE * HEAD + WG - 1u) / WG;

struct Params { queries: u32, keys: u32, q_stride: u32, kv_stride: u32, k_at: u32, v_at: u32, batch_stride: u32, head_stride: u32, first: u32, window: u32 }

@group(0) @binding(0) var<storage, read> q: array<vec4f>;
@group(0) @binding(1) var<storage, read> kv: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> tile: array<vec4f, max(TILE * HEAD, 2u * WG)>;
var<workgroup> open_keys: array<u32, TILE>;
var<workgroup> tops: array<f32, WG>;
var<workgroup> weights: array<f32, WG>;

fn is_open(b: u32, key: u32) -> bool {
  return key < params.keys && mask[b * params.keys + min(key, params.keys - 1u)] != 0u;
}

// this thread's vectors of the tile that begins at key `first`; a closed key's are 0, so that nothing it holds gets into a sum
fn fetch(b: u32, first: u32, at: u32, index: u32) -> array<vec4f, LOADS> {
  var found: array<vec4f, LOADS>;
  for (var n = 0u; n < LOADS; n++) {
    let key = first + (n * WG + index) / HEAD;
    if (is_open(b, key)) { found[n] = kv[b * params.batch_stride + key * params.kv_stride + at + (n * WG + index) % HEAD]; }
  }
  return found;
}

fn put(found: array<vec4f, LOADS>, index: u32) {
  for (var n = 0u; n < LOADS; n++) {
    if (n * WG + index < TILE * HEAD) { tile[n * WG + index] = found[n]; }
  }
}

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u) {
  let query = group.x * QUERIES + index % QUERIES;
  let share = index / QUERIES;
  let h = group.y;
  let b = group.z;
  let kept = h / (HEADS / KV_HEADS);
  let k_at = params.k_at + kept * params.head_stride;
  let v_at = params.v_at + kept * params.head_stride;
  let from_q = (b * params.queries + min(query, params.queries - 1u)) * params.q_stride + h * HEAD;
  var mine: array<vec4f, HEAD>;
  var sum: array<vec4f, HEAD>;
  for (var i = 0u; i < HEAD; i++) {
    mine[i] = SCALE * q[from_q + i];
    sum[i] = vec4f();
  }
  var top = -3.0e38;
  var weight = 0.0;
  let place = params.first + query;
  let end = select(params.keys, min(params.keys, params.first + (group.x + 1u) * QUERIES), CAUSAL);
  // the first tile that any query of the workgroup sees
  let least = max(params.first + group.x * QUERIES + 1u, params.window) - params.window;
  let begin = select(0u, least / TILE * TILE, CAUSAL);
  let row = share * 4u * HEAD;
  var next = fetch(b, begin, k_at, index);
  for (var first = begin; first < end; first += TILE) {
    workgroupBarrier();
    put(next, index);
    if (index < TILE) { open_keys[index] = u32(is_open(b, first + index)); }
    next = fetch(b, first, v_at, index);
    workgroupBarrier();
    let key = first + share * 4u + vec4u(0u, 1u, 2u, 3u);
    let at = share * 4u;
    var seen = vec4u(open_keys[at], open_keys[at + 1u], open_keys[at + 2u], open_keys[at + 3u]) != vec4u();
    if (CAUSAL) { seen = seen & (key <= vec4u(place)) & (key + params.window > vec4u(place)); }
    var share_of = vec4f();
    var shrink = 1.0;
    if (any(seen)) {
      var score = vec4f();
      if (BIASED) {
        let most = vec4i(i32(DISTANCE));
        let place = vec4u(clamp(vec4i(key) - i32(query), -most, most) + most) + h * (2u * DISTANCE + 1u);
        score = vec4f(bias[place.x], bias[place.y], bias[place.z], bias[place.w]);
      }
      for (var i = 0u; i < HEAD; i++) {
        let m = mine[i];
        score += vec4f(
          dot(m, tile[row + i]), dot(m, tile[row + HEAD + i]), dot(m, tile[row + 2u * HEAD + i]), dot(m, tile[row + 3u * HEAD + i]));
      }
      score = select(vec4f(-3.0e38), score, seen);
      let new_top = max(max(top, max(score.x, score.y)), max(score.z, score.w));
      shrink = exp(top - new_top);
      share_of = select(vec4f(), exp(score - new_top), seen);
      weight = weight * shrink + dot(share_of, vec4f(1.0));
      top = new_top;
    }
    workgroupBarrier();
    put(next, index);
    next = fetch(b, first + TILE, k_at, index);
    workgroupBarrier();
    if (any(seen)) {
      for (var i = 0u; i < HEAD; i++) {
        sum[i] = sum[i] * shrink + share_of.x * tile[row + i] + share_of.y * tile[row + HEAD + i]
          + share_of.z * tile[row + 2u * HEAD + i] + share_of.w * tile[row + 3u * HEAD + i];
      }
    }
  }

  tops[index] = top;
  weights[index] = weight;
  workgroupBarrier();
  let member = index % QUERIES;
  var most = top;
  for (var s = 0u; s < SHARES; s++) { most = max(most, tops[s * QUERIES + member]); }
  var total = 0.0;
  for (var s = 0u; s < SHARES; s++) { total += weights[s * QUERIES + member] * exp(tops[s * QUERIES + member] - most); }
  let factor = exp(top - most) / max(total, 1e-37);
  let to = ((b * params.queries + query) * HEADS + h) * HEAD;
  for (var i = 0u; i < HEAD; i++) {
    let half = i % 2u * WG;  // the other half may still be read
    tile[half + index] = sum[0] * factor;
    // the sums move up, since a loop with a barrier may not be unrolled, and sum[i] would then take them all out of their registers
    for (var j = 1u; j < HEAD; j++) { sum[j - 1u] = sum[j]; }
    workgroupBarrier();
    if (share == i % SHARES && query < params.queries) {
      var whole = vec4f();
      for (var s = 0u; s < SHARES; s++) { whole += tile[half + s * QUERIES + member]; }
      out[to + i] = whole;
    }
  }
}
