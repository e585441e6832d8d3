// Rows of a texture, PITCH bytes apart, to rows of ROW bytes without gaps: the engine's own, for rows that are no multiple of 4 bytes.
override PITCH: u32;
override ROW: u32;
override WORDS: u32;
@group(0) @binding(0) var<storage, read> rows: array<u32>;
@group(0) @binding(1) var<storage, read_write> tight: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let word = id.x + id.y * groups.x * 64u;
  if (word >= WORDS) {
    return;
  }
  var value = 0u;
  for (var k = 0u; k < 4u; k++) {
    let at = word * 4u + k;
    let source = (at / ROW) * PITCH + at % ROW;
    if (source / 4u < arrayLength(&rows)) {
      value |= ((rows[source / 4u] >> (8u * (source % 4u))) & 0xffu) << (8u * k);
    }
  }
  tight[word] = value;
}
