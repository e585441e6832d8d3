// Round a run of float32 to float16, eight elements an invocation: the fast way where nothing is moved or padded.
// Shapes: x (8 * count) float32 -> y (8 * count) float16, four u32 of two elements each.
// Dispatch: one invocation per eight elements, 256 a workgroup, folded over x and y.
// Accuracy: one rounding to nearest even; beyond 65504 the result is the adapter's own, usually inf.
// Source: WGSL pack2x16float; nothing else.

struct Params {
  count: u32,
  x_offset: u32, // in vec4f
}

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4u>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 256u + id.x;
  if (i >= p.count) {
    return;
  }
  let a = x[p.x_offset + 2u * i];
  let b = x[p.x_offset + 2u * i + 1u];
  y[i] = vec4u(pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw));
}
