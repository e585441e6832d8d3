// y += x, word by word: the residual after a product that can only write.
// Shapes: x and y (words) as vec4f. Params: words.
// Dispatch: (any, 1, 1) workgroups of 64; threads take words in turns.
// Accuracy: exact to one rounding.
// Source: none.
struct Params { words: u32 }

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < params.words; i += groups.x * 64u) { y[i] += x[i]; }
}
