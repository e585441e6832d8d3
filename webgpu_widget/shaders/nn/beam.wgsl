// One step of beam search for each source: the best 2 * beams continuations, the hypotheses that end, the beams that go on.
// Scores are sums of log-probabilities; finished ones are divided by their number of tokens. Of the candidates that end, those among
// the first `beams` are kept if better than the worst kept. A source is done when `beams` hypotheses are kept and the best running
// score over its length is no better than the worst of them, or at the most tokens.
// Shapes: with R = sources * beams, logits (R, vocab), weight (vocab, WIDTH) in Packed words of four, scale (vocab), tokens (3, R, capacity):
// running ones of even and odd steps and kept hypotheses; beam (sources, 4, beams): running scores, kept scores in order, their slots
// in `tokens`, their lengths (0: none); origin (2, R, capacity) as in step_self.wgsl; x (R, WIDTH).
// state: stopped (1: ended, 2: logits of a source that goes on are NaN or +inf), step, arrived + 65536 * done sources, most tokens, then a flag a source.
// Dispatch: (1, sources, 1): a workgroup a source. At most 16 beams.
// Accuracy: f32 sums; log-probabilities to about 1e-6.
// Source: Sutskever et al., 2014; length normalisation: Wu et al., 2016, with exponent 1.

#import shared/packed
#import shared/total

override WG: u32 = 256;
override WIDTH: u32 = 4;
override BEAMS: u32 = 4;
const MOST: u32 = 16u;

struct Params { ends: vec4u, vocab: u32, capacity: u32 }

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<Packed>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> state: array<atomic<u32>>;
@group(0) @binding(4) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(5) var<storage, read_write> beam: array<f32>;
@group(0) @binding(6) var<storage, read_write> origin: array<u32>;
@group(0) @binding(7) var<storage, read_write> x: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

struct Next { parent: u32, token: u32 }
struct Kept { parent: u32, token: u32, slot: u32 }

var<workgroup> places: array<u32, WG>;
var<workgroup> shared_word: u32;
var<workgroup> norms: array<f32, MOST>;
var<workgroup> next: array<Next, MOST>;
var<workgroup> kept: array<Kept, MOST>;
var<workgroup> kept_count: u32;

// Leaves the largest value and its place, the smaller of equal ones, in values[0] and places[0].
fn find_largest(value: f32, place: u32, index: u32) {
  values[index] = value;
  places[index] = place;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (index < half) {
      let other = index + half;
      if (values[other] > values[index] || (values[other] == values[index] && places[other] < places[index])) {
        values[index] = values[other];
        places[index] = places[other];
      }
    }
    workgroupBarrier();
  }
}

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
  if (index == 0u) { shared_word = atomicLoad(&state[0]); }
  if (workgroupUniformLoad(&shared_word) != 0u) { return; }
  let item = group.y;
  if (index == 0u) { shared_word = atomicLoad(&state[1]); }
  let step = workgroupUniformLoad(&shared_word);
  if (index == 0u) { shared_word = atomicLoad(&state[3]); }
  let limit = workgroupUniformLoad(&shared_word);
  if (index == 0u) { shared_word = atomicLoad(&state[4u + item]); }
  let was_done = workgroupUniformLoad(&shared_word) != 0u;
  var done = was_done;

  if (!was_done) {
    let first = item * BEAMS;
    let scores = item * 4u * BEAMS;
    var is_undefined = false;
    for (var b = 0u; b < BEAMS; b++) {
      var best = -3.0e38;
      for (var i = index; i < params.vocab; i += WG) {
        let value = logits[(first + b) * params.vocab + i];
        let bits = bitcast<u32>(value); // of NaN and +inf, since compilers may take it that neither occurs
        is_undefined |= (bits & 0x7fffffffu) > 0x7f800000u || bits == 0x7f800000u;
        best = max(best, value);
      }
      find_largest(best, 0u, index);
      let top = workgroupUniformLoad(&values[0]);
      var mass = 0.0;
      for (var i = index; i < params.vocab; i += WG) { mass += exp(logits[(first + b) * params.vocab + i] - top); }
      let sum = total(mass, index);
      if (index == 0u) { norms[b] = beam[scores + b] - (top + log(sum)); } // safe here, because the largest logit alone adds 1 to the sum
    }
    if (is_undefined) { atomicMax(&state[0], 2u); }
    workgroupBarrier();

    let length = step + 1u;
    let at_limit = length >= limit;
    var going_on = 0u;
    var last_value = 3.0e38;
    var last_place = 0u;
    if (index == 0u) { kept_count = 0u; }
    for (var rank = 0u; rank < 2u * BEAMS; rank++) {
      var best = -3.0e38;
      var place = 0xffffffffu;
      for (var b = 0u; b < BEAMS; b++) {
        for (var i = index; i < params.vocab; i += WG) {
          let value = logits[(first + b) * params.vocab + i] + norms[b];
          let here = b * params.vocab + i;
          let is_after = value < last_value || (value == last_value && here > last_place && rank > 0u);
          if (is_after && (value > best || (value == best && here < place))) {
            best = value;
            place = here;
          }
        }
      }
      find_largest(best, place, index);
      last_value = workgroupUniformLoad(&values[0]);
      last_place = workgroupUniformLoad(&places[0]);
      if (index == 0u) {
        let parent = last_place / params.vocab;
        let token = last_place % params.vocab;
        let ends = any(vec4u(token) == params.ends) || at_limit;
        if (!ends && going_on < BEAMS) {
          next[going_on] = Next(parent, token);
          // the running scores are read through norms only, so they can change here
          beam[scores + going_on] = last_value;
          going_on++;
        }
        if (ends && rank < BEAMS) {
          let value = last_value / f32(length);
          let worst = BEAMS - 1u;
          let is_full = beam[scores + 3u * BEAMS + worst] > 0.0;
          if (!is_full || value > beam[scores + BEAMS + worst]) {
            let slot = beam[scores + 2u * BEAMS + worst];
            var p = worst;
            while (p > 0u && (beam[scores + 3u * BEAMS + p - 1u] == 0.0 || beam[scores + BEAMS + p - 1u] < value)) {
              beam[scores + BEAMS + p] = beam[scores + BEAMS + p - 1u];
              beam[scores + 2u * BEAMS + p] = beam[scores + 2u * BEAMS + p - 1u];
              beam[scores + 3u * BEAMS + p] = beam[scores + 3u * BEAMS + p - 1u];
              p--;
            }
            beam[scores + BEAMS + p] = value;
            beam[scores + 2u * BEAMS + p] = slot;
            beam[scores + 3u * BEAMS + p] = f32(length);
            kept[kept_count] = Kept(parent, token, u32(slot));
            kept_count++;
          }
        }
      }
    }
    if (index == 0u) {
      let worst = BEAMS - 1u;
      let is_full = beam[scores + 3u * BEAMS + worst] > 0.0;
      let is_over = at_limit || (is_full && beam[scores] / f32(length) <= beam[scores + BEAMS + worst]);
      shared_word = select(0u, 1u, is_over);
    }
    done = workgroupUniformLoad(&shared_word) != 0u;

    let rows = groups.y * BEAMS;
    let now = (step & 1u) * rows;
    let then = rows - now;
    for (var k = 0u; k < kept_count; k++) {
      let to = (2u * rows + first + kept[k].slot) * params.capacity;
      let source = (now + first + kept[k].parent) * params.capacity;
      for (var i = index; i < step; i += WG) { tokens[to + i] = tokens[source + i]; }
      if (index == 0u) { tokens[to + step] = kept[k].token; }
    }
    if (!at_limit) {
      let words = WIDTH / 4u;
      for (var b = 0u; b < BEAMS; b++) {
        let to = (then + first + b) * params.capacity;
        let source = (now + first + next[b].parent) * params.capacity;
        for (var i = index; i < step; i += WG) {
          tokens[to + i] = tokens[source + i];
          origin[to + i] = origin[source + i];
        }
        if (index == 0u) {
          tokens[to + step] = next[b].token;
          origin[to + step] = first + next[b].parent;
          if (step + 1u < params.capacity) { origin[to + step + 1u] = first + b; }
        }
        let token = next[b].token;
        for (var i = index; i < words; i += WG) { x[(first + b) * words + i] = weight_at(token * words + i) * scale[token]; }
      }
    }
  }

  if (index == 0u) {
    let ends = done && !was_done;
    if (ends) { atomicStore(&state[4u + item], 1u); }
    let before = atomicAdd(&state[2], select(1u, 65537u, ends));
    if ((before & 0xffffu) + 1u == groups.y) {
      let finished = (before >> 16u) + select(0u, 1u, ends);
      atomicStore(&state[2], finished << 16u);
      atomicStore(&state[1], step + 1u);
      if (finished == groups.y) { atomicMax(&state[0], 1u); }
    }
  }
}
