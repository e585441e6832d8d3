// float32 to int8 in groups of 32, symmetric: scale = max |v| / 127, q = round(v / scale).
// Shapes: values (params.count f32 bit patterns, a multiple of 32) -> packed (4 q a word, the first lowest), scales (f32, one a group).
// Dispatch: one invocation a group, 64 a workgroup; x folds into y.
// Accuracy: |v - scale * q| <= 0.5001 scale (WGSL divides to 2.5 ulp, so a tie may fall either way). A group with NaN or infinity
// gets the scale NaN: the loss is seen, not hidden.
// Source: symmetric absmax quantisation, as in GGUF's Q8_0.

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
  for (var k = 0u; k < 32u; k++) {
    most = max(most, values[group * 32u + k] & 0x7fffffffu);
  }
  let scale = bitcast<f32>(min(most, 0x7f7fffffu)) / 127.0;
  let finite = most < 0x7f800000u;
  scales[group] = select(NAN_BITS, bitcast<u32>(scale), finite);
  let usable = finite && scale > 1.1754944e-38;
  for (var w = 0u; w < 8u; w++) {
    var word = 0u;
    for (var k = 0u; k < 4u; k++) {
      let v = bitcast<f32>(select(0u, values[group * 32u + w * 4u + k], usable));
      let q = i32(clamp(round(v / select(1.0, scale, usable)), -127.0, 127.0));
      word = insertBits(word, u32(q), k * 8u, 8u);
    }
    packed[group * 8u + w] = word;
  }
}
