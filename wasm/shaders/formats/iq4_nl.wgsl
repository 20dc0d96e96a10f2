// iq4_nl.wgsl: d * table[q].
//:include scaled_table
//:include f16

const TABLE = vec4<u32>(0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u);

fn scale_at(at: vec4<u32>, i: u32) -> f32 {
  return f16_at(at.y, i);
}
