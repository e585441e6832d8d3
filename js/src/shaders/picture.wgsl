// A triangle over a whole target, for pictures that a fragment shader draws; and one that draws a texture, pixel by pixel or each as a block of pixels.
@group(0) @binding(0) var source: texture_2d<f32>;
override SCALE: f32 = 1.0;

@vertex
fn corner(@builtin(vertex_index) i: u32) -> @builtin(position) vec4f {
  return vec4f(f32(i % 2u) * 4.0 - 1.0, f32(i / 2u) * 4.0 - 1.0, 0.0, 1.0);
}

@fragment
fn copy(@builtin(position) at: vec4f) -> @location(0) vec4f {
  let most = vec2i(textureDimensions(source)) - 1;
  let color = textureLoad(source, min(vec2i(at.xy * SCALE), most), 0);
  let bits = bitcast<vec4u>(color) & vec4u(0x7fffffffu);
  return select(color, vec4f(1.0, 0.0, 1.0, 1.0), any(bits > vec4u(0x7f800000u)));
}
