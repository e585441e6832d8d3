// h[r, n] = act(a[r, n]) * a[r, WIDTH + n] for many rows; act(a[r, n]) where not GATED. ACT is 0 ReLU, 1 GELU (tanh form), 2 SiLU.
// Shapes: a (rows, 2 * WIDTH or WIDTH), h (rows, WIDTH). Params: rows.
// Dispatch: (any, 1, 1) workgroups of 64; threads take elements in turns.
// Accuracy: that of the device's tanh and exp; 1e-5 relative at worst.
// Source: Shazeer, "GLU Variants Improve Transformer", 2020.

#import shared/activation

override WIDTH: u32 = 4;
override GATED: bool = true;
override ACT: u32 = 1;

struct Params { rows: u32 }

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> h: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < params.rows * WIDTH; i += groups.x * 64u) {
    if (GATED) {
      let at = i / WIDTH * 2u * WIDTH + i % WIDTH;
      h[i] = activate(a[at]) * a[at + WIDTH];
    } else {
      h[i] = activate(a[i]);
    }
  }
}
