// bf16.wgsl: the upper halves of f32.
//:include halves

fn decode(bits: vec4<u32>) -> vec4<f32> {
  return bitcast<vec4<f32>>(bits << vec4<u32>(16u));
}
