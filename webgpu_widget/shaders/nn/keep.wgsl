// Puts the keys and values of many positions into the cache that a step reads: position `first` + r % length of row r / length.
// Shapes: qkv (rows * length, HEADS + 2 * KV_HEADS, HEAD) as vec4f, cache (2, rows, KV_HEADS, capacity, HEAD) as vec4f, keys then values.
// Params: rows, length, first, capacity.
// Dispatch: (any, 1, 1) workgroups of 64; threads take vectors in turns.
// Accuracy: the same bits.
// Source: none.

override HEADS: u32 = 1;
override KV_HEADS: u32 = 1;
const HEAD: u32 = 16u;

struct Params { rows: u32, length: u32, first: u32, capacity: u32 }

@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> cache: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let width = 2u * KV_HEADS * HEAD;
  for (var i = id.x; i < params.rows * params.length * width; i += groups.x * 64u) {
    let position = i / width % params.length;
    let row = i / width / params.length;
    let head = i % width / HEAD;
    let half = head / KV_HEADS;
    let to = ((half * params.rows + row) * KV_HEADS + head % KV_HEADS) * params.capacity + params.first + position;
    cache[to * HEAD + i % HEAD] = qkv[(i / width * (HEADS + 2u * KV_HEADS) + HEADS + head) * HEAD + i % HEAD];
  }
}
