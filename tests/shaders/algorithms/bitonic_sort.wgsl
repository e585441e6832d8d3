// One compare-and-swap step of Batcher's bitonic sort (https://en.wikipedia.org/wiki/Bitonic_sorter); length a power of two.
struct Step { block: u32, distance: u32 }
@group(0) @binding(0) var<storage, read_write> values: array<f32>;
@group(1) @binding(0) var<uniform> step: Step;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let partner = id.x ^ step.distance;
  if (partner <= id.x || partner >= arrayLength(&values)) { return; }
  let low = values[id.x];
  let high = values[partner];
  if ((low > high) == ((id.x & step.block) == 0u)) {
    values[id.x] = high;
    values[partner] = low;
  }
}
