// pairs.wgsl: 32 two-bit numbers in two words; bits 2k and 2k + 1 of byte j of word w are element 16w + 4k + j.

// Elements 4k ... 4k + 3 of a word.
fn pairs(word: u32, k: u32) -> vec4<u32> {
  return (vec4<u32>(word >> (2u * k)) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(3u);
}

// The same as bytes of a word.
fn pair_bytes(word: u32, k: u32) -> u32 {
  return (word >> (2u * k)) & 0x03030303u;
}
