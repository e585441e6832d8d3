// Running sums or products along one axis.
// Entry totals: the total of each part of a line.
// Entry carry: the running totals of the parts, exclusive, in place.
// Entry main: the running totals of the elements, from the carry of their part.
// Shapes: 0 x (outer, length, inner), 1 parts (outer * inner, parts), 2 y like x; uniform: lines, length, inner, part, parts.
// Variants: alias Elem = f32 | i32 | u32; const PRODUCT.
// Dispatch: 64 invocations a workgroup in a grid-stride loop: totals and main over lines * parts, carry over lines. With one part only main runs. No
// workgroup memory and no barrier, since CPU adapters pay dearly for them.
// Accuracy: float32 in order within a part of about sqrt(length); integers modulo 2**32.
// Source: own.

alias Elem = f32;
const PRODUCT = false;

@group(0) @binding(0) var<storage, read> x: array<Elem>;
@group(0) @binding(1) var<storage, read_write> parts: array<Elem>;
@group(0) @binding(2) var<storage, read_write> y: array<Elem>;

struct Params { lines: u32, length: u32, inner: u32, part: u32, parts: u32 }
@group(1) @binding(0) var<uniform> p: Params;

fn combine(a: Elem, b: Elem) -> Elem {
  if (PRODUCT) { return a * b; }
  return a + b;
}

fn identity() -> Elem { return select(Elem(0), Elem(1), PRODUCT); }

// Where element 0 of a line is.
fn start(line: u32) -> u32 { return (line / p.inner) * p.length * p.inner + line % p.inner; }

@compute @workgroup_size(64)
fn totals(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  for (var t = id.x; t < p.lines * p.parts; t += groups.x * 64u) {
    let line = t % p.lines;
    let k = t / p.lines;
    let base = start(line);
    var sum = identity();
    for (var i = k * p.part; i < min((k + 1u) * p.part, p.length); i++) { sum = combine(sum, x[base + i * p.inner]); }
    parts[line * p.parts + k] = sum;
  }
}

@compute @workgroup_size(64)
fn carry(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  for (var line = id.x; line < p.lines; line += groups.x * 64u) {
    var sum = identity();
    for (var k = 0u; k < p.parts; k++) {
      let here = parts[line * p.parts + k];
      parts[line * p.parts + k] = sum;
      sum = combine(sum, here);
    }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  for (var t = id.x; t < p.lines * p.parts; t += groups.x * 64u) {
    let line = t % p.lines;
    let k = t / p.lines;
    let base = start(line);
    var sum = identity();
    if (p.parts > 1u) { sum = parts[line * p.parts + k]; }
    for (var i = k * p.part; i < min((k + 1u) * p.part, p.length); i++) {
      sum = combine(sum, x[base + i * p.inner]);
      y[base + i * p.inner] = sum;
    }
  }
}
