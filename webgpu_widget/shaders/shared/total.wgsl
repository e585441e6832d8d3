// A sum over a workgroup of WG, a power of two.
// Importer: WG.
// Accuracy: f32, in pairs: log2(WG) roundings.
// Source: own.

var<workgroup> values: array<f32, WG>;

fn total(value: f32, index: u32) -> f32 {
  values[index] = value;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (index < half) { values[index] += values[index + half]; }
    workgroupBarrier();
  }
  return workgroupUniformLoad(&values[0]);
}
