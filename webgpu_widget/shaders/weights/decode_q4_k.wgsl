// GGUF Q4_K to float32: blocks of 256 with f16 d and dmin, 12 bytes of 6-bit scales and minima for 8 groups of 32, 128 bytes of
// nibbles; the value is (d * scale) * q - (dmin * minimum).
// Shapes: raw, 144 bytes a block of 256, in 32-bit words -> values (f32), params.count elements.
// Dispatch: one invocation an element, 64 a workgroup; x folds into y.
// Accuracy: two f32 roundings, or one where the adapter fuses them.
// Source: https://github.com/ggml-org/ggml, the block formats of ggml-common.h.

#import shared/conversion
#import shared/raw_half

@group(0) @binding(1) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.count) {
    return;
  }
  let block = (i >> 8u) * 144u;
  let j = i & 255u;
  let group = j >> 5u;
  var scale = 0u;
  var low = 0u;
  if (group < 4u) {
    scale = byte_at(block + 4u + group) & 63u;
    low = byte_at(block + 8u + group) & 63u;
  } else {
    let both = byte_at(block + 8u + group);
    scale = (both & 15u) | ((byte_at(block + group) >> 6u) << 4u);
    low = (both >> 4u) | ((byte_at(block + 4u + group) >> 6u) << 4u);
  }
  let q = (byte_at(block + 16u + (group >> 1u) * 32u + (j & 31u)) >> ((group & 1u) * 4u)) & 15u;
  values[i] = half_at(block) * f32(scale) * f32(q) - half_at(block + 2u) * f32(low);
}
