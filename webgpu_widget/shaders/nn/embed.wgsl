// x[r, :] = scale[ids[r]] * weight[ids[r], :]: rows of the embedding.
// Shapes: ids (rows), weight (vocab, WIDTH) in Packed words of four, scale (vocab), x (rows, WIDTH) as vec4f. Params: rows.
// Dispatch: (any, 1, 1) workgroups of 64; threads take words in turns.
// Accuracy: exact in float32 and float16; int8 is rounded once.
// Source: none.

#import shared/packed

override WIDTH: u32 = 4;

struct Params { rows: u32 }

@group(0) @binding(0) var<storage, read> ids: array<u32>;
@group(0) @binding(1) var<storage, read> weight: array<Packed>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let words = WIDTH / 4u;
  for (var i = id.x; i < params.rows * words; i += groups.x * 64u) {
    let token = ids[i / words];
    x[i] = weight_at(token * words + i % words) * scale[token];
  }
}
