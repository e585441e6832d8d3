// The activation that the importer's ACT says: 0 ReLU, 1 GELU in its tanh form, 2 SiLU, 3 none.
// Importer: ACT.
// Accuracy: that of the device's tanh and exp; 1e-5 relative at worst.
// Source: GELU: Hendrycks and Gimpel, 2016; SiLU: Elfwing et al., 2018.

fn activate(a: f32) -> f32 {
  if (ACT == 0u) { return select(a, 0.0, bitcast<u32>(a) - 0x80000001u < 0x7f800000u); } // NaN stays
  if (ACT == 1u) { return 0.5 * a * (1.0 + tanh(clamp(0.7978845608 * (a + 0.044715 * a * a * a), -15.0, 15.0))); }
  if (ACT == 2u) { return a / (1.0 + exp(-a)); }
  return a;
}
