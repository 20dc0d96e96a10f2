// affine4.wgsl: formats of four bits, weight = scale.x * q + scale.y. A format gives
//   fn scale_of(at: vec4<u32>, i: u32) -> vec2<f32>
//:include nibbles

fn load_block(at: vec4<u32>, i: u32) -> Block {
  let q = heap4[at.x / 4u + i];
  let s = scale_of(at, i);
  return Block(
    vec4<f32>(low_nibbles(q.x)) * s.x + s.y,
    vec4<f32>(high_nibbles(q.x)) * s.x + s.y,
    vec4<f32>(low_nibbles(q.y)) * s.x + s.y,
    vec4<f32>(high_nibbles(q.y)) * s.x + s.y,
    vec4<f32>(low_nibbles(q.z)) * s.x + s.y,
    vec4<f32>(high_nibbles(q.z)) * s.x + s.y,
    vec4<f32>(low_nibbles(q.w)) * s.x + s.y,
    vec4<f32>(high_nibbles(q.w)) * s.x + s.y,
  );
}

fn load_eight(at: vec4<u32>, i: u32, part: u32) -> Eight {
  let q = heap[at.x + i * 4u + part];
  let s = scale_of(at, i);
  return Eight(vec4<f32>(low_nibbles(q)) * s.x + s.y, vec4<f32>(high_nibbles(q)) * s.x + s.y);
}

fn load_bytes(at: vec4<u32>, i: u32) -> Bytes {
  let q = heap4[at.x / 4u + i];
  let low = q & vec4<u32>(0x0f0f0f0fu);
  let high = (q >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu);
  return Bytes(vec4<u32>(low.x, high.x, low.y, high.y), vec4<u32>(low.z, high.z, low.w, high.w));
}

fn scales_of(at: vec4<u32>, i: u32) -> Scales {
  let s = scale_of(at, i);
  return Scales(s.xx, s.yy);
}
