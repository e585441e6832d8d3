// Chooses the next token of each row, notes it, embeds it as the next step's input, and counts the step.
// Greedy, or sampled: logits over the temperature, the top_k largest (0: all), of these the fewest whose probability reaches top_p,
// of those with probabilities of no less than a share of the largest (floor is that share's logarithm times the temperature, 0 without), and one drawn by
// the Gumbel maximum. Where there is a penalty, logits of tokens that a row has seen are divided by it, and those below 0 multiplied, beforehand. Thresholds are found bit by bit in an order-preserving integer image of the logits.
// Shapes: logits (rows, vocab), weight (vocab, WIDTH) in Packed words of four, scale (vocab), tokens (rows, capacity), x (rows, WIDTH),
// seen (rows, ceil(vocab / 32)): a bit a token.
// state: stopped (1: ended, 2: the logits of a row that goes on are no numbers), step, arrived rows + 65536 * finished rows, most tokens, then a flag a row. Generation stops when all rows have ended
// or at the most tokens; rows that ended get the pad. `settings` is a buffer so that a recorded step serves any.
// Dispatch: (1, rows, 1): a workgroup a row.
// Accuracy: greedy exact, ties go to the smallest id; the sampling masses are f32 sums.
// Source: random numbers: Jarzynski and Olano, "Hash Functions for GPU Rendering", JCGT 2020 (pcg4d of seed, row, step, token).

#import shared/packed
#import shared/total

override WG: u32 = 256;
override WIDTH: u32 = 4;

struct Settings { sample: u32, top_k: u32, seed: u32, top_p: f32, temperature: f32, floor: f32, penalty: f32 }
struct Params { ends: vec4u, vocab: u32, pad: u32, capacity: u32 }

@group(0) @binding(0) var<storage, read_write> logits: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<Packed>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> state: array<atomic<u32>>;
@group(0) @binding(4) var<storage, read_write> tokens: array<u32>;
@group(0) @binding(5) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(6) var<storage, read> settings: Settings;
@group(0) @binding(7) var<storage, read_write> seen: array<atomic<u32>>;
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> places: array<u32, WG>;
var<workgroup> shared_word: u32;

// The largest value's place, the smaller of equal ones.
fn place_of_largest(value: f32, place: u32, index: u32) -> u32 {
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
  return workgroupUniformLoad(&places[0]);
}

// Whether a logit is NaN, or where probabilities are asked for, +inf; bits, since compilers may take it that neither occurs.
fn no_number(value: f32, in_probabilities: bool) -> bool {
  let bits = bitcast<u32>(value);
  return (bits & 0x7fffffffu) > 0x7f800000u || (in_probabilities && bits == 0x7f800000u);
}

fn ordered(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

fn hash(seed: vec4u) -> u32 {
  var v = seed * 1664525u + 1013904223u;
  v.x += v.y * v.w;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v.w += v.y * v.z;
  v ^= v >> vec4u(16u);
  v.x += v.y * v.w;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v.w += v.y * v.z;
  return v.x;
}

fn gumbel(row: u32, step: u32, token: u32) -> f32 {
  let word = hash(vec4u(settings.seed, row, step, token)) >> 8u;
  let u = (f32(word) + 0.5) * 5.9604644775390625e-8;
  // Just below 1 an f32 rounds u to 1, and WGSL's log is off by more than its value: there by the series of log(1 - rest).
  let rest = (f32(0xffffffu - word) + 0.5) * 5.9604644775390625e-8;
  let exponential = select(-log(u), rest * (1.0 + 0.5 * rest), rest < 1e-3);
  return -log(exponential); // safe here, because u ends at 0.999 for log, and rest begins at 2^-25
}

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u) {
  if (index == 0u) { shared_word = atomicLoad(&state[0]); }
  if (workgroupUniformLoad(&shared_word) != 0u) { return; }
  let row = group.y;
  let from_row = row * params.vocab;
  let step = atomicLoad(&state[1]);
  let has_ended = atomicLoad(&state[4u + row]) != 0u;

  let from_seen = row * ((params.vocab + 31u) / 32u);
  let has_penalty = settings.penalty > 0.0 && settings.penalty != 1.0;
  if (has_penalty) {
    for (var i = index; i < params.vocab; i += WG) {
      if (((atomicLoad(&seen[from_seen + i / 32u]) >> (i % 32u)) & 1u) != 0u) {
        let value = logits[from_row + i];
        logits[from_row + i] = select(value * settings.penalty, value / settings.penalty, value > 0.0);
      }
    }
    storageBarrier();
    workgroupBarrier();
  }

  var best = -3.0e38;
  var place = 0u;
  var is_undefined = false;
  for (var i = index; i < params.vocab; i += WG) {
    let value = logits[from_row + i];
    is_undefined |= no_number(value, settings.sample != 0u);
    if (value > best) {
      best = value;
      place = i;
    }
  }
  if (is_undefined && !has_ended) { atomicMax(&state[0], 2u); }
  var token = place_of_largest(best, place, index);

  if (settings.sample != 0u) {
    let top = logits[from_row + token];
    var threshold = 0u;
    if (settings.top_k > 0u && settings.top_k < params.vocab) {
      for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
        var count = 0.0;
        for (var i = index; i < params.vocab; i += WG) { count += select(0.0, 1.0, ordered(logits[from_row + i]) >= (threshold | bit)); }
        if (total(count, index) >= f32(settings.top_k)) { threshold |= bit; }
      }
    }
    if (settings.top_p < 1.0) {
      var kept = 0.0;
      for (var i = index; i < params.vocab; i += WG) {
        let value = logits[from_row + i];
        if (ordered(value) >= threshold) { kept += exp((value - top) / settings.temperature); }
      }
      let wanted = settings.top_p * total(kept, index);
      var nucleus = 0u;
      for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
        var mass = 0.0;
        for (var i = index; i < params.vocab; i += WG) {
          let value = logits[from_row + i];
          if (ordered(value) >= max(threshold, nucleus | bit)) { mass += exp((value - top) / settings.temperature); }
        }
        if (total(mass, index) >= wanted) { nucleus |= bit; }
      }
      threshold = max(threshold, nucleus);
    }
    if (settings.floor < 0.0) { threshold = max(threshold, ordered(top + settings.floor)); }
    threshold = min(threshold, ordered(top));
    best = -3.0e38;
    place = 0u;
    for (var i = index; i < params.vocab; i += WG) {
      let value = logits[from_row + i];
      if (ordered(value) >= threshold) {
        let drawn = value / settings.temperature + gumbel(row, step, i);
        if (drawn > best) {
          best = drawn;
          place = i;
        }
      }
    }
    token = place_of_largest(best, place, index);
  }

  if (has_ended) { token = params.pad; }
  let words = WIDTH / 4u;
  for (var i = index; i < words; i += WG) { x[row * words + i] = weight_at(token * words + i) * scale[token]; }
  // state[1] and state[4 + row] change below: nobody may still read them
  workgroupBarrier();
  if (index == 0u) {
    tokens[row * params.capacity + step] = token;
    if (has_penalty) { atomicOr(&seen[from_seen + token / 32u], 1u << (token % 32u)); }
    let ends = any(vec4u(token) == params.ends) && !has_ended;
    if (ends) { atomicStore(&state[4u + row], 1u); }
    let before = atomicAdd(&state[2], select(1u, 65537u, ends));
    if ((before & 0xffffu) + 1u == groups.y) {
      let finished = (before >> 16u) + select(0u, 1u, ends);
      atomicStore(&state[2], finished << 16u);
      atomicStore(&state[1], step + 1u);
      if (finished == groups.y || step + 1u >= atomicLoad(&state[3])) { atomicMax(&state[0], 1u); }
    }
  }
}
