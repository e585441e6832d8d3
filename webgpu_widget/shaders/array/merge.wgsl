// Stable sort of uint32 keys along the last axis, with the index that each came from: one step of a merge sort.
// Entry runs: runs of 8, by insertion, from keys alone.
// Entry main: pairs of runs of length `width` into runs of twice that.
// Shapes: 0 keys (rows, length), 1 index like keys (main only), 2 and 3 the same sorted; uniform: rows, length, width.
// Dispatch: 64 invocations a workgroup in a grid-stride loop: runs one for 8 elements, main one for each element, which finds its place by a binary
// search in the sister run: first of equals from the left, so the order of equals is kept. log2(length / 8) steps, no workgroup memory and no
// barrier.
// Accuracy: exact.
// Source: the rank method for parallel merges, see D. E. Knuth, TAOCP 3, 5.2.4.

@group(0) @binding(0) var<storage, read> keys: array<u32>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read_write> sorted_keys: array<u32>;
@group(0) @binding(3) var<storage, read_write> sorted_index: array<u32>;

struct Params { rows: u32, length: u32, width: u32, _pad: u32 }
@group(1) @binding(0) var<uniform> p: Params;

const RUN = 8u;

@compute @workgroup_size(64)
fn runs(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let per_row = (p.length + RUN - 1u) / RUN;
  for (var t = id.x; t < p.rows * per_row; t += groups.x * 64u) {
    let row = (t / per_row) * p.length;
    let begin = (t % per_row) * RUN;
    let count = min(RUN, p.length - begin);
    var k: array<u32, 8>;
    var at: array<u32, 8>;
    for (var i = 0u; i < count; i++) {
      let key = keys[row + begin + i];
      var j = i;
      while (j > 0u && k[j - 1u] > key) {
        k[j] = k[j - 1u];
        at[j] = at[j - 1u];
        j--;
      }
      k[j] = key;
      at[j] = begin + i;
    }
    for (var i = 0u; i < count; i++) {
      sorted_keys[row + begin + i] = k[i];
      sorted_index[row + begin + i] = at[i];
    }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  for (var t = id.x; t < p.rows * p.length; t += groups.x * 64u) {
    let row = (t / p.length) * p.length;
    let i = t % p.length;
    let pair = i / (2u * p.width) * (2u * p.width);
    let middle = min(pair + p.width, p.length);
    let end = min(pair + 2u * p.width, p.length);
    let left = i < middle;
    let key = keys[t];
    var low = select(pair, middle, left);
    var high = select(middle, end, left);
    let first = low;
    while (low < high) {
      let mid = (low + high) / 2u;
      let other = keys[row + mid];
      // From the left run: how many of the right are smaller. From the right run: how many of the left are not larger.
      if (other < key || (!left && other == key)) { low = mid + 1u; } else { high = mid; }
    }
    let place = row + pair + (i - select(middle, pair, left)) + (low - first);
    sorted_keys[place] = key;
    sorted_index[place] = index[t];
  }
}
