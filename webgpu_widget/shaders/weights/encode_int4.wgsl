// float32 to 4-bit integers in groups of 32: scale = m / -8 for the m of largest magnitude, q = clamp(floor(v / scale + 8.5), 0, 15);
// the value is scale * (q - 8).
// Shapes: values (params.count f32 bit patterns, a multiple of 32) -> packed (8 q a word, the first lowest), scales (f32, one a group).
// Dispatch: one invocation a group, 64 a workgroup; x folds into y.
// Accuracy: |v - value| <= 0.5001 |scale|, or up to |scale| at the end of the range opposite to m. A group with NaN or infinity gets
// the scale NaN: the loss is seen, not hidden.
// Source: GGUF's Q4_0, with an f32 scale.

#import shared/conversion

@group(0) @binding(0) var<storage, read> values: array<u32>;
@group(0) @binding(1) var<storage, read_write> packed: array<u32>;
@group(0) @binding(2) var<storage, read_write> scales: array<u32>;

const NAN_BITS = 0x7fc00000u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let group = id.y * groups.x * 64u + id.x;
  if (group * 32u >= params.count) {
    return;
  }
  var most = 0u; // magnitudes of floats compare as their bits do
  var extreme = 0u;
  for (var k = 0u; k < 32u; k++) {
    let bits = values[group * 32u + k];
    if ((bits & 0x7fffffffu) > most) {
      most = bits & 0x7fffffffu;
      extreme = bits;
    }
  }
  let finite = most < 0x7f800000u;
  let scale = bitcast<f32>(select(0u, extreme, finite)) / -8.0;
  scales[group] = select(NAN_BITS, bitcast<u32>(scale), finite);
  let usable = finite && abs(scale) > 1.1754944e-38;
  for (var w = 0u; w < 4u; w++) {
    var word = 0u;
    for (var k = 0u; k < 8u; k++) {
      let v = bitcast<f32>(select(0u, values[group * 32u + w * 8u + k], usable));
      let q = u32(clamp(floor(v / select(1.0, scale, usable) + 8.5), 0.0, 15.0));
      word |= q << (k * 4u);
    }
    packed[group * 4u + w] = word;
  }
}
