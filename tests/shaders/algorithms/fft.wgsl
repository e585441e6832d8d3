// One pass of Stockham's radix-2 FFT (Govindaraju et al. 2008, https://doi.org/10.1109/SC.2008.5213922): no bit reversal.
@group(0) @binding(0) var<storage, read> source: array<vec2f>;
@group(0) @binding(1) var<storage, read_write> result: array<vec2f>;
@group(1) @binding(0) var<uniform> span: u32;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let half_length = arrayLength(&source) / 2u;
  if (id.x >= half_length) { return; }
  let angle = -3.14159265358979 * f32(id.x % span) / f32(span);
  let turn = vec2f(cos(angle), sin(angle));
  let a = source[id.x];
  let b = source[id.x + half_length];
  let rotated = vec2f(b.x * turn.x - b.y * turn.y, b.x * turn.y + b.y * turn.x);
  let at = (id.x / span) * span * 2u + id.x % span;
  result[at] = a + rotated;
  result[at + span] = a - rotated;
}
