// float16 to float32.
// Shapes: raw, 2 bytes an element, in 32-bit words -> values (f32 bit patterns), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: exact, subnormals and NaN payloads included.
// Source: IEEE 754 binary16.

struct Params {
  count: u32,   // elements to write
  flag: u32,    // which flag to raise (checked kernels)
  pad0: u32,
  pad1: u32,
}

@group(0) @binding(0) var<storage, read> raw: array<u32>;
@group(0) @binding(1) var<storage, read_write> values: array<u32>;
@group(1) @binding(0) var<uniform> params: Params;

// The exact f32 of a 16-bit float; integers, because hardware may flush subnormals.
fn half_bits(h: u32) -> u32 {
  let sign = (h & 0x8000u) << 16u;
  let exponent = (h >> 10u) & 31u;
  let fraction = h & 1023u;
  if (exponent == 0u) {
    return sign | bitcast<u32>(f32(fraction) * 5.9604644775390625e-8);
  }
  if (exponent == 31u) {
    return sign | 0x7f800000u | (fraction << 13u);
  }
  return sign | ((exponent + 112u) << 23u) | (fraction << 13u);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.count) {
    return;
  }
  values[i] = half_bits((raw[i >> 1u] >> ((i & 1u) * 16u)) & 0xffffu);
}
