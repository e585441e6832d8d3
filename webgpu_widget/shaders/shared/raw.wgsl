// Bytes of a file, which begin at any byte of a word.
// Accuracy: exact.
// Source: own.

@group(0) @binding(0) var<storage, read> raw: array<u32>;

fn byte_at(at: u32) -> u32 {
  return (raw[at >> 2u] >> ((at & 3u) * 8u)) & 255u;
}
