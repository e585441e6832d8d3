// F6_E3M2 to float32: 3 bits of exponent, 2 of fraction, elements one after another from the lowest bit on.
// Shapes: raw, 6 bits an element, in 32-bit words -> values (f32 bit patterns), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: exact.
// Source: own.

struct Params {
  count: u32,   // elements to write
  flag: u32,    // which flag to raise (checked kernels)
  pad0: u32,
  pad1: u32,
}

@group(0) @binding(0) var<storage, read> raw: array<u32>;
@group(0) @binding(1) var<storage, read_write> values: array<u32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.count) {
    return;
  }
  let at = i * 6u;
  let word = at >> 5u;
  let first = at & 31u;
  var q = raw[word] >> first;
  if (first > 26u) {
    q |= raw[word + 1u] << (32u - first);
  }
  q &= 63u;
  let exponent = (q >> 2u) & 7u;
  let fraction = q & 3u;
  // Without an exponent a number of steps of 2^-4, all of them normal in f32.
  var magnitude = bitcast<u32>(f32(fraction) * 0.0625);
  if (exponent > 0u) {
    magnitude = ((exponent + 124u) << 23u) | (fraction << 21u);
  }
  values[i] = magnitude | ((q >> 5u) << 31u);
}
