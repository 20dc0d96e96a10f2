// q5_0.wgsl: d * (q - 16).
//:include affine5
//:include f16

fn scale_of(at: vec4<u32>, i: u32) -> vec2<f32> {
  let d = f16_at(at.y, i);
  return vec2<f32>(d, -16.0 * d);
}

fn fifth_bits(at: vec4<u32>, i: u32) -> u32 {
  return heap[at.z + i];
}
