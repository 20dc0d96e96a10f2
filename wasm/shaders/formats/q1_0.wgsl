// q1_0.wgsl: d or -d; bit e of a block's word is element e, and four blocks share a d.
//:include bits
//:include f16

fn signs(word: u32) -> vec4<f32> {
  return vec4<f32>(bits4(word)) * 2.0 - 1.0;
}

fn load_block(at: vec4<u32>, i: u32) -> Block {
  let q = heap[at.x + i];
  let d = f16_at(at.y, i / 4u);
  return Block(
    signs(q) * d,
    signs(q >> 4u) * d,
    signs(q >> 8u) * d,
    signs(q >> 12u) * d,
    signs(q >> 16u) * d,
    signs(q >> 20u) * d,
    signs(q >> 24u) * d,
    signs(q >> 28u) * d,
  );
}

fn load_eight(at: vec4<u32>, i: u32, part: u32) -> Eight {
  let q = heap[at.x + i] >> (part * 8u);
  let d = f16_at(at.y, i / 4u);
  return Eight(signs(q) * d, signs(q >> 4u) * d);
}

fn load_bytes(at: vec4<u32>, i: u32) -> Bytes {
  let q = heap[at.x + i];
  return Bytes(
    vec4<u32>(bit_bytes(q), bit_bytes(q >> 4u), bit_bytes(q >> 8u), bit_bytes(q >> 12u)),
    vec4<u32>(bit_bytes(q >> 16u), bit_bytes(q >> 20u), bit_bytes(q >> 24u), bit_bytes(q >> 28u)),
  );
}

fn scales_of(at: vec4<u32>, i: u32) -> Scales {
  let d = f16_at(at.y, i / 4u);
  return Scales(vec2<f32>(2.0 * d), vec2<f32>(-d));
}
