// affine5.wgsl: formats of five bits, weight = scale.x * q + scale.y; the fifth bits of a block are one word. A format gives
//   fn scale_of(at: vec4<u32>, i: u32) -> vec2<f32>
//   fn fifth_bits(at: vec4<u32>, i: u32) -> u32
//:include nibbles
//:include bits

// Eight numbers from a word of nibbles and their fifth bits, the lowest first.
fn affine(word: u32, bits: u32, s: vec2<f32>) -> Eight {
  return Eight(
    vec4<f32>(low_nibbles(word) | (bits4(bits) << vec4<u32>(4u))) * s.x + s.y,
    vec4<f32>(high_nibbles(word) | (bits4(bits >> 4u) << vec4<u32>(4u))) * s.x + s.y,
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

fn eight_bytes(word: u32, bits: u32) -> vec2<u32> {
  return (vec2<u32>(word, word >> 4u) & vec2<u32>(0x0f0f0f0fu)) | (vec2<u32>(bit_bytes(bits), bit_bytes(bits >> 4u)) << vec2<u32>(4u));
}

fn load_bytes(at: vec4<u32>, i: u32) -> Bytes {
  let q = heap4[at.x / 4u + i];
  let bits = fifth_bits(at, i);
  return Bytes(
    vec4<u32>(eight_bytes(q.x, bits), eight_bytes(q.y, bits >> 8u)),
    vec4<u32>(eight_bytes(q.z, bits >> 16u), eight_bytes(q.w, bits >> 24u)),
  );
}

fn scales_of(at: vec4<u32>, i: u32) -> Scales {
  let s = scale_of(at, i);
  return Scales(s.xx, s.yy);
}
