// 2-D convolution with the border mirrored at the edge (SciPy's "symmetric").
override RADIUS: u32;
@group(0) @binding(0) var<storage, read> image: array<f32>;
@group(0) @binding(1) var<storage, read> weights: array<f32>;
@group(0) @binding(2) var<storage, read_write> result: array<f32>;
@group(1) @binding(0) var<uniform> size: vec2u;

fn mirrored(at: i32, n: i32) -> i32 {
  let inside = select(at, -1 - at, at < 0);
  return select(inside, 2 * n - 1 - inside, inside >= n);
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (any(id.xy >= size)) { return; }
  let reach = i32(RADIUS);
  var sum = 0.0;
  for (var dy = -reach; dy <= reach; dy++) {
    for (var dx = -reach; dx <= reach; dx++) {
      let y = mirrored(i32(id.y) - dy, i32(size.y));
      let x = mirrored(i32(id.x) - dx, i32(size.x));
      sum = fma(weights[u32((dy + reach) * (2 * reach + 1) + dx + reach)], image[u32(y) * size.x + u32(x)], sum);
    }
  }
  result[id.y * size.x + id.x] = sum;
}
