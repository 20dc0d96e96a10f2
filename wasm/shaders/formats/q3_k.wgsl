// q3_k.wgsl: d * scale * (q - 4), a scale for 16 elements; two bits of q are pairs, the third bits are one word.
//:include pairs
//:include bits
//:include k_scales

// Eight elements: `bits` begins with their third bits, `k` is 0 or 2.
fn eight(word: u32, bits: u32, k: u32, scale: f32) -> Eight {
  return Eight(
    (vec4<f32>(pairs(word, k) | (bits4(bits) << vec4<u32>(2u))) - 4.0) * scale,
    (vec4<f32>(pairs(word, k + 1u) | (bits4(bits >> 4u) << vec4<u32>(2u))) - 4.0) * scale,
  );
}

fn load_block(at: vec4<u32>, i: u32) -> Block {
  let word = at.x + i * 2u;
  let bits = heap[at.w + i];
  let scales = signed_scales(at, i);
  let a = eight(heap[word], bits, 0u, scales.x);
  let b = eight(heap[word], bits >> 8u, 2u, scales.x);
  let c = eight(heap[word + 1u], bits >> 16u, 0u, scales.y);
  let d = eight(heap[word + 1u], bits >> 24u, 2u, scales.y);
  return Block(a.v0, a.v1, b.v0, b.v1, c.v0, c.v1, d.v0, d.v1);
}

fn load_eight(at: vec4<u32>, i: u32, part: u32) -> Eight {
  let scales = signed_scales(at, i);
  let scale = select(scales.x, scales.y, part > 1u);
  return eight(heap[at.x + i * 2u + part / 2u], heap[at.w + i] >> (part * 8u), (part & 1u) * 2u, scale);
}

fn eight_bytes(word: u32, bits: u32, k: u32) -> vec2<u32> {
  let third = vec2<u32>(bit_bytes(bits), bit_bytes(bits >> 4u)) << vec2<u32>(2u);
  return vec2<u32>(pair_bytes(word, k), pair_bytes(word, k + 1u)) | third;
}

fn load_bytes(at: vec4<u32>, i: u32) -> Bytes {
  let first = heap[at.x + i * 2u];
  let second = heap[at.x + i * 2u + 1u];
  let bits = heap[at.w + i];
  return Bytes(
    vec4<u32>(eight_bytes(first, bits, 0u), eight_bytes(first, bits >> 8u, 2u)),
    vec4<u32>(eight_bytes(second, bits >> 16u, 0u), eight_bytes(second, bits >> 24u, 2u)),
  );
}

fn scales_of(at: vec4<u32>, i: u32) -> Scales {
  let scales = signed_scales(at, i);
  return Scales(scales, -4.0 * scales);
}
