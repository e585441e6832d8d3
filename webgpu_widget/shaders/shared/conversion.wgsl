// What kernels that convert numbers are told.
// Accuracy: nothing is computed.
// Source: own.

struct Params {
  count: u32,   // elements to write
  flag: u32,    // which flag to raise (checked kernels)
  pad0: u32,
  pad1: u32,
}

@group(1) @binding(0) var<uniform> params: Params;
