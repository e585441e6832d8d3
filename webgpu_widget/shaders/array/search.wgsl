// Where values belong in a sorted array: binary search of uint32 keys.
// Shapes: 0 keys (length), ascending, 1 wanted (count), 2 place (count) int32; uniform: length, count, right (0 or 1).
// Dispatch: 64 invocations a workgroup in a grid-stride loop over count.
// Accuracy: exact.
// Source: own.

@group(0) @binding(0) var<storage, read> keys: array<u32>;
@group(0) @binding(1) var<storage, read> wanted: array<u32>;
@group(0) @binding(2) var<storage, read_write> place: array<i32>;

struct Params { length: u32, count: u32, right: u32, _pad: u32 }
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  for (var t = id.x; t < p.count; t += groups.x * 64u) {
    let key = wanted[t];
    var low = 0u;
    var high = p.length;
    while (low < high) {
      let mid = (low + high) / 2u;
      if (keys[mid] < key || (p.right == 1u && keys[mid] == key)) { low = mid + 1u; } else { high = mid; }
    }
    place[t] = i32(low);
  }
}
