// Edge strength of an image by Sobel's operator, from a sampled texture to a storage texture.
@group(0) @binding(0) var photo: texture_2d<f32>;
@group(0) @binding(1) var nearest: sampler;
@group(0) @binding(2) var edges: texture_storage_2d<rgba8unorm, write>;

fn grey(at: vec2f) -> f32 {
  return dot(textureSampleLevel(photo, nearest, at, 0.0).rgb, vec3f(0.2125, 0.7154, 0.0721));
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let size = textureDimensions(photo);
  if (any(id.xy >= size)) { return; }
  let unit = 1.0 / vec2f(size);
  let here = (vec2f(id.xy) + 0.5) * unit;
  var across = vec2f();
  for (var i = -1; i <= 1; i++) {
    let weight = f32(2 - abs(i));
    across.x += weight * (grey(here + unit * vec2f(1.0, f32(i))) - grey(here + unit * vec2f(-1.0, f32(i))));
    across.y += weight * (grey(here + unit * vec2f(f32(i), 1.0)) - grey(here + unit * vec2f(f32(i), -1.0)));
  }
  textureStore(edges, id.xy, vec4f(vec3f(length(across) / 4.0), 1.0));
}
