// k_scales.wgsl: the scales of K-quants: 16 bits for each block at at.y; for each super-block of eight blocks one or two halves at at.z.
//:include f16

// Low byte and high byte of block i.
fn bytes_of(at: vec4<u32>, i: u32) -> vec2<u32> {
  let word = heap[at.y + i / 2u] >> (16u * (i & 1u));
  return vec2<u32>(word & 0xffu, (word >> 8u) & 0xffu);
}

// The scale and the minimum of a super-block.
fn super_scales(at: vec4<u32>, i: u32) -> vec2<f32> {
  let word = heap[at.z + i / 8u];
  return vec2<f32>(from_f16(word), from_f16(word >> 16u));
}

// Signed scales of elements 0 to 15 and 16 to 31, times the super-block's.
fn signed_scales(at: vec4<u32>, i: u32) -> vec2<f32> {
  let bytes = bitcast<vec2<i32>>(bytes_of(at, i) << vec2<u32>(24u)) >> vec2<u32>(24u);
  return vec2<f32>(bytes) * f16_at(at.z, i / 8u);
}
