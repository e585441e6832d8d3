// All shortest paths, one pivot a dispatch (Floyd 1962).
@group(0) @binding(0) var<storage, read_write> distance_to: array<f32>;
@group(1) @binding(0) var<uniform> pivot: u32;
override N: u32;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (any(id.xy >= vec2u(N))) { return; }
  let through = distance_to[id.y * N + pivot] + distance_to[pivot * N + id.x];
  distance_to[id.y * N + id.x] = min(distance_to[id.y * N + id.x], through);
}
