// Word i of the row of x that begins there, times the gain where NORM.
// Importer: x, gain, NORM.
// Accuracy: one rounding where NORM.
// Source: own.

fn taken(begin: u32, i: u32) -> vec4f {
  if (NORM) { return x[begin + i] * gain[i]; }
  return x[begin + i];
}
