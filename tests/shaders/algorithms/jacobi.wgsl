// One Jacobi step of the heat equation: each inner point becomes the mean of its four neighbours; the border stays.
@group(0) @binding(0) var<storage, read> now: array<f32>;
@group(0) @binding(1) var<storage, read_write> next: array<f32>;
@group(1) @binding(0) var<uniform> size: vec2u;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (any(id.xy >= size)) { return; }
  let at = id.y * size.x + id.x;
  if (any(id.xy == vec2u(0u)) || any(id.xy == size - 1u)) {
    next[at] = now[at];
    return;
  }
  next[at] = 0.25 * (now[at - 1u] + now[at + 1u] + now[at - size.x] + now[at + size.x]);
}
