// q4_0.wgsl: d * (q - 8).
//:include affine4
//:include f16

fn scale_of(at: vec4<u32>, i: u32) -> vec2<f32> {
  let d = f16_at(at.y, i);
  return vec2<f32>(d, -8.0 * d);
}
