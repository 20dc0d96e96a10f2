// q4_k.wgsl: d * scale * q - dmin * min.
//:include affine4
//:include k_scales

fn scale_of(at: vec4<u32>, i: u32) -> vec2<f32> {
  return super_scales(at, i) * vec2<f32>(bytes_of(at, i)) * vec2<f32>(1.0, -1.0);
}
