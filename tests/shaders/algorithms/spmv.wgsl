// Sparse matrix times vector, compressed sparse rows, an invocation a row (Bell and Garland 2008, NVR-2008-004).
@group(0) @binding(0) var<storage, read> row_starts: array<u32>;
@group(0) @binding(1) var<storage, read> columns: array<u32>;
@group(0) @binding(2) var<storage, read> values: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= arrayLength(&y)) { return; }
  var sum = 0.0;
  for (var i = row_starts[id.x]; i < row_starts[id.x + 1u]; i++) { sum = fma(values[i], x[columns[i]], sum); }
  y[id.x] = sum;
}
