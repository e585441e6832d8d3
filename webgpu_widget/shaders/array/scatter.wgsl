// Write values to places of an array; of several values for one place the last stays, as in NumPy.
// Entry claim: the largest position that wants each place.
// Entry main: that position writes.
// Shapes: 0 place (count) int32, 1 owner (size of y) atomic, zero at first, 2 value (count), 3 y; uniform: count. Elements are 32 bits of any type.
// Dispatch: 64 invocations a workgroup in a grid-stride loop over count.
// Accuracy: exact.
// Source: own.

@group(0) @binding(0) var<storage, read> place: array<i32>;
@group(0) @binding(1) var<storage, read_write> owner: array<atomic<u32>>;
@group(0) @binding(2) var<storage, read> value: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

struct Params { count: u32, words: u32, _a: u32, _b: u32 }
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(64)
fn claim(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  for (var t = id.x; t < p.count; t += groups.x * 64u) { atomicMax(&owner[place[t]], t + 1u); }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  for (var t = id.x; t < p.count; t += groups.x * 64u) {
    if (atomicLoad(&owner[place[t]]) != t + 1u) { continue; }
    for (var k = 0u; k < p.words; k++) { y[u32(place[t]) * p.words + k] = value[t * p.words + k]; }
  }
}
