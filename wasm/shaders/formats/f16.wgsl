// f16.wgsl: half floats, decoded as in common/f16.wgsl.
//:include halves

fn decode(bits: vec4<u32>) -> vec4<f32> {
  let magnitude = bits & vec4<u32>(0x7fffu);
  let normal = bitcast<vec4<f32>>((magnitude << vec4<u32>(13u)) + vec4<u32>(112u << 23u));
  let value = select(normal, vec4<f32>(magnitude) * 0x1p-24f, magnitude < vec4<u32>(0x400u));
  return select(value, -value, (bits & vec4<u32>(0x8000u)) != vec4<u32>(0u));
}
