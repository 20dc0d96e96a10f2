// q2_k.wgsl: d * scale * q - dmin * min, for 16 elements a byte with the scale below and the minimum above.
//:include pairs
//:include k_scales

// d * scale and -dmin * min.
fn scale_of(super_block: vec2<f32>, byte: u32) -> vec2<f32> {
  return super_block * vec2<f32>(f32(byte & 15u), -f32(byte >> 4u));
}

fn load_block(at: vec4<u32>, i: u32) -> Block {
  let q = heap[at.x + i * 2u];
  let r = heap[at.x + i * 2u + 1u];
  let super_block = super_scales(at, i);
  let bytes = bytes_of(at, i);
  let s = scale_of(super_block, bytes.x);
  let t = scale_of(super_block, bytes.y);
  return Block(
    vec4<f32>(pairs(q, 0u)) * s.x + s.y,
    vec4<f32>(pairs(q, 1u)) * s.x + s.y,
    vec4<f32>(pairs(q, 2u)) * s.x + s.y,
    vec4<f32>(pairs(q, 3u)) * s.x + s.y,
    vec4<f32>(pairs(r, 0u)) * t.x + t.y,
    vec4<f32>(pairs(r, 1u)) * t.x + t.y,
    vec4<f32>(pairs(r, 2u)) * t.x + t.y,
    vec4<f32>(pairs(r, 3u)) * t.x + t.y,
  );
}

fn load_eight(at: vec4<u32>, i: u32, part: u32) -> Eight {
  let q = heap[at.x + i * 2u + part / 2u];
  let bytes = bytes_of(at, i);
  let s = scale_of(super_scales(at, i), select(bytes.x, bytes.y, part > 1u));
  let k = (part & 1u) * 2u;
  return Eight(vec4<f32>(pairs(q, k)) * s.x + s.y, vec4<f32>(pairs(q, k + 1u)) * s.x + s.y);
}

fn load_bytes(at: vec4<u32>, i: u32) -> Bytes {
  let first = heap[at.x + i * 2u];
  let second = heap[at.x + i * 2u + 1u];
  return Bytes(
    vec4<u32>(pair_bytes(first, 0u), pair_bytes(first, 1u), pair_bytes(first, 2u), pair_bytes(first, 3u)),
    vec4<u32>(pair_bytes(second, 0u), pair_bytes(second, 1u), pair_bytes(second, 2u), pair_bytes(second, 3u)),
  );
}

fn scales_of(at: vec4<u32>, i: u32) -> Scales {
  let super_block = super_scales(at, i);
  let bytes = bytes_of(at, i);
  let s = scale_of(super_block, bytes.x);
  let t = scale_of(super_block, bytes.y);
  return Scales(vec2<f32>(s.x, t.x), vec2<f32>(s.y, t.y));
}
