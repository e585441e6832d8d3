// Inclusive scan in two levels: each workgroup scans its block in workgroup memory (Hillis and Steele 1986), then adds the sums before it.
override BLOCK: u32 = 64u;
var<workgroup> shared_sums: array<u32, BLOCK>;
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<storage, read_write> sums: array<u32>;

@compute @workgroup_size(BLOCK)
fn scan_blocks(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) index: u32, @builtin(workgroup_id) group: vec3u) {
  shared_sums[index] = select(0u, x[min(id.x, arrayLength(&x) - 1u)], id.x < arrayLength(&x));
  for (var distance = 1u; distance < BLOCK; distance *= 2u) {
    workgroupBarrier();
    let before = select(0u, shared_sums[index - min(index, distance)], index >= distance);
    workgroupBarrier();
    shared_sums[index] += before;
  }
  if (id.x < arrayLength(&y)) { y[id.x] = shared_sums[index]; }
  if (index == BLOCK - 1u) { sums[group.x] = shared_sums[index]; }
}

@compute @workgroup_size(BLOCK)
fn add_sums(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) group: vec3u) {
  if (id.x >= arrayLength(&y)) { return; }
  var before = 0u;
  for (var i = 0u; i < group.x; i++) { before += sums[i]; }
  y[id.x] += before;
}
