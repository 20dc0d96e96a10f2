// q8_0.wgsl: d * q, signed bytes.
//:include f16

fn signed_bytes(word: u32) -> vec4<f32> {
  return vec4<f32>(bitcast<vec4<i32>>(vec4<u32>(word) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u));
}

fn load_block(at: vec4<u32>, i: u32) -> Block {
  let q = heap4[at.x / 4u + i * 2u];
  let r = heap4[at.x / 4u + i * 2u + 1u];
  let d = f16_at(at.y, i);
  return Block(
    signed_bytes(q.x) * d,
    signed_bytes(q.y) * d,
    signed_bytes(q.z) * d,
    signed_bytes(q.w) * d,
    signed_bytes(r.x) * d,
    signed_bytes(r.y) * d,
    signed_bytes(r.z) * d,
    signed_bytes(r.w) * d,
  );
}

fn load_eight(at: vec4<u32>, i: u32, part: u32) -> Eight {
  let word = at.x + i * 8u + part * 2u;
  let d = f16_at(at.y, i);
  return Eight(signed_bytes(heap[word]) * d, signed_bytes(heap[word + 1u]) * d);
}

fn load_bytes(at: vec4<u32>, i: u32) -> Bytes {
  return Bytes(heap4[at.x / 4u + i * 2u], heap4[at.x / 4u + i * 2u + 1u]);
}

fn scales_of(at: vec4<u32>, i: u32) -> Scales {
  return Scales(vec2<f32>(f16_at(at.y, i)), vec2<f32>(0.0));
}
