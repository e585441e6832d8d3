// Random bits by counter: Philox 4x32-10.
// Shapes: 0 y (count) uint32; uniform: count, key (low, high), stream.
// Dispatch: 256 invocations a workgroup in a grid-stride loop over blocks of 4 words: word k of block n is element 4 n + k.
// Accuracy: exact: the same bits on every adapter, since there are only integers in it.
// Source: J. K. Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC 2011).

@group(0) @binding(0) var<storage, read_write> y: array<u32>;

struct Params { count: u32, key_low: u32, key_high: u32, stream: u32 }
@group(1) @binding(0) var<uniform> p: Params;

fn mul_high(a: u32, b: u32) -> u32 {
  let al = a & 0xffffu;
  let ah = a >> 16u;
  let bl = b & 0xffffu;
  let bh = b >> 16u;
  let m = ah * bl + ((al * bl) >> 16u);
  let n = al * bh + (m & 0xffffu);
  return ah * bh + (m >> 16u) + (n >> 16u);
}

fn philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
  var c = counter;
  var k = key;
  for (var round = 0u; round < 10u; round++) {
    let high0 = mul_high(0xd2511f53u, c.x);
    let low0 = 0xd2511f53u * c.x;
    let high1 = mul_high(0xcd9e8d57u, c.z);
    let low1 = 0xcd9e8d57u * c.z;
    c = vec4<u32>(high1 ^ c.y ^ k.x, low1, high0 ^ c.w ^ k.y, low0);
    k += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
  }
  return c;
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let blocks = (p.count + 3u) / 4u;
  for (var block = id.x; block < blocks; block += groups.x * 256u) {
    let words = philox(vec4<u32>(block, 0u, p.stream, 0u), vec2<u32>(p.key_low, p.key_high));
    for (var k = 0u; k < min(4u, p.count - block * 4u); k++) { y[block * 4u + k] = words[k]; }
  }
}
