// Sums and maxima over a workgroup of WG by way of its subgroups.

enable subgroups;

var<workgroup> words: array<f32, WG>;

fn all_sum(value: f32, index: u32, lanes: u32) -> f32 {
  let sum = subgroupAdd(value);
  workgroupBarrier();
  if (index % lanes == 0u) { words[index / lanes] = sum; }
  workgroupBarrier();
  var total = 0.0;
  for (var team = 0u; team < WG / lanes; team++) { total += words[team]; }
  return total;
}

fn all_max(value: f32, index: u32, lanes: u32) -> f32 {
  let top = subgroupMax(value);
  workgroupBarrier();
  if (index % lanes == 0u) { words[index / lanes] = top; }
  workgroupBarrier();
  var total = words[0];
  for (var team = 1u; team < WG / lanes; team++) { total = max(total, words[team]); }
  return total;
}
