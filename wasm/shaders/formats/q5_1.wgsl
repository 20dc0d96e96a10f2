// q5_1.wgsl: d * q + m.
//:include affine5
//:include f16

fn scale_of(at: vec4<u32>, i: u32) -> vec2<f32> {
  let word = heap[at.y + i];
  return vec2<f32>(from_f16(word), from_f16(word >> 16u));
}

fn fifth_bits(at: vec4<u32>, i: u32) -> u32 {
  return heap[at.z + i];
}
