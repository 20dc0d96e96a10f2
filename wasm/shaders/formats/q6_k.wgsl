// q6_k.wgsl: d * scale * (q - 32), a scale for 16 elements; four bits of q are nibbles, two are pairs.
//:include nibbles
//:include pairs
//:include k_scales

// Elements 16h ... 16h + 15 of a block, in two calls of eight: `k` is 0 or 2.
fn eight(word: u32, upper: u32, k: u32, scale: f32) -> Eight {
  return Eight(
    (vec4<f32>(low_nibbles(word) | (pairs(upper, k) << vec4<u32>(4u))) - 32.0) * scale,
    (vec4<f32>(high_nibbles(word) | (pairs(upper, k + 1u) << vec4<u32>(4u))) - 32.0) * scale,
  );
}

fn load_block(at: vec4<u32>, i: u32) -> Block {
  let q = heap4[at.x / 4u + i];
  let upper = at.w + i * 2u;
  let scales = signed_scales(at, i);
  let a = eight(q.x, heap[upper], 0u, scales.x);
  let b = eight(q.y, heap[upper], 2u, scales.x);
  let c = eight(q.z, heap[upper + 1u], 0u, scales.y);
  let d = eight(q.w, heap[upper + 1u], 2u, scales.y);
  return Block(a.v0, a.v1, b.v0, b.v1, c.v0, c.v1, d.v0, d.v1);
}

fn load_eight(at: vec4<u32>, i: u32, part: u32) -> Eight {
  let scales = signed_scales(at, i);
  let scale = select(scales.x, scales.y, part > 1u);
  return eight(heap[at.x + i * 4u + part], heap[at.w + i * 2u + part / 2u], (part & 1u) * 2u, scale);
}

fn eight_bytes(word: u32, upper: u32, k: u32) -> vec2<u32> {
  let q = vec2<u32>(word, word >> 4u) & vec2<u32>(0x0f0f0f0fu);
  return q | (vec2<u32>(pair_bytes(upper, k), pair_bytes(upper, k + 1u)) << vec2<u32>(4u));
}

fn load_bytes(at: vec4<u32>, i: u32) -> Bytes {
  let q = heap4[at.x / 4u + i];
  let first = heap[at.w + i * 2u];
  let second = heap[at.w + i * 2u + 1u];
  return Bytes(
    vec4<u32>(eight_bytes(q.x, first, 0u), eight_bytes(q.y, first, 2u)),
    vec4<u32>(eight_bytes(q.z, second, 0u), eight_bytes(q.w, second, 2u)),
  );
}

fn scales_of(at: vec4<u32>, i: u32) -> Scales {
  let scales = signed_scales(at, i);
  return Scales(scales, -32.0 * scales);
}
