// One mip level to the next: each texel is the mean of four, at odd borders with the last one twice.
@group(0) @binding(0) var source: texture_2d<f32>;

@vertex
fn corner(@builtin(vertex_index) i: u32) -> @builtin(position) vec4f {
  return vec4f(f32(i % 2u) * 4.0 - 1.0, f32(i / 2u) * 4.0 - 1.0, 0.0, 1.0);
}

@fragment
fn halve(@builtin(position) at: vec4f) -> @location(0) vec4f {
  let most = vec2i(textureDimensions(source)) - 1;
  let p = vec2i(at.xy) * 2;
  let top = textureLoad(source, min(p, most), 0) + textureLoad(source, min(p + vec2i(1, 0), most), 0);
  let bottom = textureLoad(source, min(p + vec2i(0, 1), most), 0) + textureLoad(source, min(p + vec2i(1, 1), most), 0);
  return 0.25 * (top + bottom);
}
