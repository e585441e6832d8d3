// Scales of numbers with exponents, and where the levels of a table begin, which the importer's params say.
// Importer: params.level_offsets.
// Accuracy: exact.
// Source: own.

// 2^k; 0 under f32's normal range
fn power_of_two(k: i32) -> f32 {
  return bitcast<f32>(u32(clamp(k + 127, 0, 254)) << 23u);
}

fn first_entry(level: u32) -> u32 {
  return params.level_offsets[level / 4u][level % 4u];
}
