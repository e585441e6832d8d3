// Conway's game of life on a torus.
@group(0) @binding(0) var<storage, read> now: array<u32>;
@group(0) @binding(1) var<storage, read_write> next: array<u32>;
@group(1) @binding(0) var<uniform> size: vec2u;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (any(id.xy >= size)) { return; }
  var alive = 0u;
  for (var dy = 0u; dy < 3u; dy++) {
    for (var dx = 0u; dx < 3u; dx++) {
      let at = (id.xy + vec2u(dx, dy) + size - 1u) % size;
      alive += now[at.y * size.x + at.x];
    }
  }
  let self_alive = now[id.y * size.x + id.x];
  next[id.y * size.x + id.x] = u32(alive == 3u || (alive == 4u && self_alive == 1u));
}
