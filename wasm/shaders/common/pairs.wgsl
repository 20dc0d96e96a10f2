// pairs.wgsl: 32 two-bit numbers in two words; bits 2k and 2k + 1 of byte j of word w are element 16w + 4k + j.

// Elements 4k ... 4k + 3 of a word.
fn pairs(word: u32, k: u32) -> vec4<u32> {
  return (vec4<u32>(word >> (2u * k)) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(3u);
}

// Four neighbouring bits, one in each element.
fn bits4(word: u32) -> vec4<u32> {
  return (vec4<u32>(word) >> vec4<u32>(0u, 1u, 2u, 3u)) & vec4<u32>(1u);
}
