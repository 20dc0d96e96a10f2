// bits.wgsl: single bits of numbers, the lowest four of a word at a time.

// One in each element.
fn bits4(word: u32) -> vec4<u32> {
  return (vec4<u32>(word) >> vec4<u32>(0u, 1u, 2u, 3u)) & vec4<u32>(1u);
}

// One in each byte: no two of the four copies meet in a bit.
fn bit_bytes(word: u32) -> u32 {
  return ((word & 15u) * 0x00204081u) & 0x01010101u;
}
