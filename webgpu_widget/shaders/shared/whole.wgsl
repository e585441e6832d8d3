// Sums and maxima over a workgroup of WG by way of its subgroups.
// Importer: WG.
// Accuracy: f32: in the order of the adapter's subgroupAdd, then one subgroup after the other.
// Source: own.

enable subgroups;

var<workgroup> words: array<f32, WG>;

fn all_sum(value: f32, index: u32, members: u32) -> f32 {
  let sum = subgroupAdd(value);
  workgroupBarrier();
  if (index % members == 0u) { words[index / members] = sum; }
  workgroupBarrier();
  var total = 0.0;
  for (var team = 0u; team < WG / members; team++) { total += words[team]; }
  return total;
}

fn all_max(value: f32, index: u32, members: u32) -> f32 {
  let top = subgroupMax(value);
  workgroupBarrier();
  if (index % members == 0u) { words[index / members] = top; }
  workgroupBarrier();
  var total = words[0];
  for (var team = 1u; team < WG / members; team++) { total = max(total, words[team]); }
  return total;
}
