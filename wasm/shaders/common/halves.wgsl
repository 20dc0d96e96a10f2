// halves.wgsl: formats of 16 bits; element 2k is the low half of word k. A format gives
//   fn decode(bits: vec4<u32>) -> vec4<f32>

// Eight elements from four words.
fn eight(words: vec4<u32>) -> Eight {
  return Eight(
    decode(vec4<u32>(words.x, words.x >> 16u, words.y, words.y >> 16u) & vec4<u32>(0xffffu)),
    decode(vec4<u32>(words.z, words.z >> 16u, words.w, words.w >> 16u) & vec4<u32>(0xffffu)),
  );
}

fn load_block(at: vec4<u32>, i: u32) -> Block {
  let first = at.x / 4u + i * 4u;
  let a = eight(heap4[first]);
  let b = eight(heap4[first + 1u]);
  let c = eight(heap4[first + 2u]);
  let d = eight(heap4[first + 3u]);
  return Block(a.v0, a.v1, b.v0, b.v1, c.v0, c.v1, d.v0, d.v1);
}

fn load_eight(at: vec4<u32>, i: u32, part: u32) -> Eight {
  return eight(heap4[at.x / 4u + i * 4u + part]);
}
