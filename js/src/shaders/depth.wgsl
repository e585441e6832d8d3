// Numbers of a texture as depths: WebGPU takes no bytes for a depth texture, only what is drawn into it. The first row comes as the instance.
@group(0) @binding(0) var source: texture_2d<f32>;

struct Corner {
  @builtin(position) position: vec4f,
  @location(0) @interpolate(flat) top: u32,
}

@vertex
fn corner(@builtin(vertex_index) i: u32, @builtin(instance_index) top: u32) -> Corner {
  return Corner(vec4f(f32(i % 2u) * 4.0 - 1.0, f32(i / 2u) * 4.0 - 1.0, 0.0, 1.0), top);
}

@fragment
fn depth(corner: Corner) -> @builtin(frag_depth) f32 {
  return textureLoad(source, vec2u(corner.position.xy) - vec2u(0, corner.top), 0).x;
}
