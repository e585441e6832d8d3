// What fused_self, fused_cross and fused_rotary do alike: a running softmax over WG keys at a time, an invocation a key, and the output projection.
// `vectors` begins with the scale of the output, and the first HEAD vectors of `mine` become the head's result.
// Importer: HEADS, HEAD, WORDS, WG, x, vectors, out, mine.
// Accuracy: f32 throughout; about 1e-6 relative.
// Source: running softmax: Milakov and Gimelshein, 2018.

#import shared/packed
#import shared/whole

var<workgroup> share: array<f32, WG>;
var<workgroup> parts: array<vec4f, WG>;

// A softmax so far: the largest score, the sum of the weights, and an invocation's sum of weighted values.
struct Running { top: f32, mass: f32, sum: vec4f }

// The last slot is the row itself.
fn keep_row(r: u32, index: u32) {
  for (var i = index; i < 4u * WORDS; i += WG) { out[(r * (HEADS + 1u) + HEADS) * 4u * WORDS + i] = x[r * 4u * WORDS + i]; }
}

// With the scores of WG more keys, whose weights are left in `share`; a barrier must follow.
fn weighed(before: Running, score: f32, is_seen: bool, index: u32, members: u32) -> Running {
  let top = max(before.top, all_max(score, index, members));
  let e = select(0.0, exp(score - top), is_seen);
  share[index] = e;
  let shrink = exp(before.top - top);
  return Running(top, before.mass * shrink + e, before.sum * shrink);
}

// Bring the sums of the invocations together in `mine`; those of vector i are i, i + HEAD and so on.
fn finish(running: Running, index: u32, members: u32) {
  parts[index] = running.sum;
  let whole = max(all_sum(running.mass, index, members), 1e-37);
  if (index < HEAD) {
    var total = vec4f();
    for (var i = 0u; i < WG / HEAD; i++) { total += parts[i * HEAD + index]; }
    mine[index] = total / whole;
  }
  workgroupBarrier();
}

// The head's part of the output projection: a quad an output, the outputs shared among the workgroups of the head.
fn project(h: u32, r: u32, part: u32, count: u32, index: u32) {
  for (var first = part * (WG / 4u); first < 4u * WORDS; first += count * (WG / 4u)) {
    let d = first + index / 4u;
    let m = min(d, 4u * WORDS - 1u);
    var o = 0.0;
    for (var i = index % 4u; i < HEAD; i += 4u) { o += dot(weight_at((m * HEADS + h) * HEAD + i), mine[i]); }
    o += quadSwapX(o);
    o += quadSwapY(o);
    if (index % 4u == 0u && d < 4u * WORDS) { out[(r * (HEADS + 1u) + h) * 4u * WORDS + d] = o * vectors[d / 4u][d % 4u]; }
  }
}
