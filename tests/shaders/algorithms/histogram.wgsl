// Histogram of bytes: atomics in workgroup memory first, then one global add per bin and workgroup.
var<workgroup> local_bins: array<atomic<u32>, 256>;
@group(0) @binding(0) var<storage, read> words: array<u32>;
@group(0) @binding(1) var<storage, read_write> bins: array<atomic<u32>>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) index: u32) {
  atomicStore(&local_bins[index], 0u);
  workgroupBarrier();
  if (id.x < arrayLength(&words)) {
    for (var i = 0u; i < 4u; i++) { atomicAdd(&local_bins[extractBits(words[id.x], 8u * i, 8u)], 1u); }
  }
  workgroupBarrier();
  atomicAdd(&bins[index], atomicLoad(&local_bins[index]));
}
