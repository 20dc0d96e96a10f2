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
