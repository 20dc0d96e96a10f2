// affine5.wgsl: formats of five bits, weight = scale.x * q + scale.y; the fifth bits of a block are one word. A format gives
//   fn scale_of(at: vec4<u32>, i: u32) -> vec2<f32>
//   fn fifth_bits(at: vec4<u32>, i: u32) -> u32
//:include nibbles

// Eight numbers from a word of nibbles and their fifth bits, the lowest first.
fn affine(word: u32, bits: u32, s: vec2<f32>) -> Eight {
  let high = (vec4<u32>(bits << 4u, bits << 3u, bits << 2u, bits << 1u)) & vec4<u32>(16u);
  let higher = (vec4<u32>(bits, bits >> 1u, bits >> 2u, bits >> 3u)) & vec4<u32>(16u);
  return Eight(
    vec4<f32>(low_nibbles(word) | high) * s.x + s.y,
    vec4<f32>(high_nibbles(word) | higher) * s.x + s.y,
  );
}

fn load_block(at: vec4<u32>, i: u32) -> Block {
  let q = heap4[at.x / 4u + i];
  let bits = fifth_bits(at, i);
  let s = scale_of(at, i);
  let a = affine(q.x, bits, s);
  let b = affine(q.y, bits >> 8u, s);
  let c = affine(q.z, bits >> 16u, s);
  let d = affine(q.w, bits >> 24u, s);
  return Block(a.v0, a.v1, b.v0, b.v1, c.v0, c.v1, d.v0, d.v1);
}

fn load_eight(at: vec4<u32>, i: u32, part: u32) -> Eight {
  return affine(heap[at.x + i * 4u + part], fifth_bits(at, i) >> (part * 8u), scale_of(at, i));
}
