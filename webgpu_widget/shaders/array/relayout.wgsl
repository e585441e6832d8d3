// Move the parts of records between two layouts, such as NumPy's and WGSL's of one struct, or a struct and one of its fields.
// Shapes: source_words (n * source_halves / 2) u32, places (target_halves) u32, target_words (n * target_halves / 2) u32. All is counted in halves of a
// word, 2 bytes, since float16 has these: half i of a record comes from half places[i] of the same record in the source; KEEP leaves it as it is.
// Dispatch: one invocation a word of the target, ceil(words / 256) workgroups folded into x and y; `halves` is n * target_halves.
// Accuracy: exact.
// Source: own.

struct Params {
  halves: u32,
  source_halves: u32,
  target_halves: u32,
}

const KEEP = 0xffffffffu;

@group(0) @binding(0) var<storage, read> source_words: array<u32>;
@group(0) @binding(1) var<storage, read> places: array<u32>;
@group(0) @binding(2) var<storage, read_write> target_words: array<u32>;
@group(1) @binding(0) var<uniform> params: Params;

fn moved(half: u32, old: u32) -> u32 {
  if (half >= params.halves) {
    return old;
  }
  let place = places[half % params.target_halves];
  if (place == KEEP) {
    return old;
  }
  let at = half / params.target_halves * params.source_halves + place;
  return (source_words[at / 2u] >> (16u * (at % 2u))) & 0xffffu;
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let word = id.y * groups.x * 256u + id.x;
  if (2u * word >= params.halves) {
    return;
  }
  let old = target_words[word];
  target_words[word] = moved(2u * word, old & 0xffffu) | (moved(2u * word + 1u, old >> 16u) << 16u);
}
