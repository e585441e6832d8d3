// y[r, :words] = x[r, :words]: rows copied to the beginnings of wider ones.
// Shapes: x (rows, words) and y (rows, wider) in words of 16 bytes, whatever they hold. Params: rows, words, wider.
// Dispatch: (any, 1, 1) workgroups of 64; threads take words in turns.
// Accuracy: the same bits.
// Source: none.

struct Params { rows: u32, words: u32, wider: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4u>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < params.rows * params.words; i += groups.x * 64u) {
    y[i / params.words * params.wider + i % params.words] = x[i];
  }
}
