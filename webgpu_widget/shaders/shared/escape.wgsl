// When a point is outside.
// Accuracy: exact.
// Source: IEEE 754 binary32.

// True for inf and NaN too, which comparisons of floats need not see.
fn outside(squared: f32, limit: f32) -> bool {
  return (bitcast<u32>(squared) & 0x7fffffffu) > bitcast<u32>(limit);
}
