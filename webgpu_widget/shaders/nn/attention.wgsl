// out[b, i, h, :] = softmax(SCALE q . k + bias) v for many queries: a thread a query and head, keys in turn with a running softmax.
// Keys count where mask is not 0 and, where CAUSAL, up to the query's own position, `first` + its number, and from `window` before it on. BIASED adds bias[h, key - query].
// HEADS / KV_HEADS query heads share a head of keys and values, as lie beside each other; scores are SCALE * (q . k).
// Shapes: q (batch, queries, ., HEADS, HEAD) as vec4f with q_stride vectors from row to row; k and v, of KV_HEADS, alike in `kv`: a key's head
// begins at k_at, a value's at v_at, and batches, positions and heads lie batch_stride, kv_stride and head_stride vectors apart; bias (HEADS, 2 * DISTANCE + 1); mask (batch, keys); out (batch, queries, HEADS, HEAD).
// Dispatch: (ceil(queries / 32), HEADS, batch) workgroups of 32.
// Accuracy: f32 throughout; about 1e-6 relative. A query with no key gives 0.
// Source: grouped queries: Ainslie et al., 2023; running softmax: Milakov and Gimelshein, 2018.

override HEADS: u32 = 1;
override KV_HEADS: u32 = 1;
override SCALE: f32 = 1.0;
override DISTANCE: u32 = 128;
override CAUSAL: bool = false;
override BIASED: bool = true;
const HEAD: u32 = 16u;

struct Params { queries: u32, keys: u32, q_stride: u32, kv_stride: u32, k_at: u32, v_at: u32, batch_stride: u32, head_stride: u32, first: u32, window: u32 }

@group(0) @binding(0) var<storage, read> q: array<vec4f>;
@group(0) @binding(1) var<storage, read> kv: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let query = id.x;
  let h = id.y;
  let b = id.z;
  let kept = h / (HEADS / KV_HEADS);
  if (query >= params.queries) { return; }
  let from_q = (b * params.queries + query) * params.q_stride + h * HEAD;
  var mine: array<vec4f, HEAD>;
  var sum: array<vec4f, HEAD>;
  for (var i = 0u; i < HEAD; i++) {
    mine[i] = SCALE * q[from_q + i];
    sum[i] = vec4f();
  }
  var top = -3.0e38;
  var weight = 0.0;
  let place = params.first + query;
  let end = select(params.keys, min(params.keys, place + 1u), CAUSAL);
  for (var j = select(0u, max(place + 1u, params.window) - params.window, CAUSAL); j < end; j++) {
    if (mask[b * params.keys + j] == 0u) { continue; }
    let row = b * params.batch_stride + j * params.kv_stride + kept * params.head_stride;
    var score = 0.0;
    if (BIASED) {
      let distance = clamp(i32(j) - i32(query), -i32(DISTANCE), i32(DISTANCE)) + i32(DISTANCE);
      score = bias[h * (2u * DISTANCE + 1u) + u32(distance)];
    }
    for (var i = 0u; i < HEAD; i++) { score += dot(mine[i], kv[row + params.k_at + i]); }
    let new_top = max(top, score);
    let shrink = exp(top - new_top);
    let e = exp(score - new_top);
    weight = weight * shrink + e;
    for (var i = 0u; i < HEAD; i++) { sum[i] = sum[i] * shrink + e * kv[row + params.v_at + i]; }
    top = new_top;
  }
  let to = ((b * params.queries + query) * HEADS + h) * HEAD;
  for (var i = 0u; i < HEAD; i++) { out[to + i] = sum[i] / max(weight, 1e-37); }
}
