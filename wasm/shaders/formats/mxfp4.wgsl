// mxfp4.wgsl: d * table[q], where d is a power of two, as bf16.
//:include scaled_table

const TABLE = vec4<u32>(0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu);

fn scale_at(at: vec4<u32>, i: u32) -> f32 {
  let word = heap[at.y + i / 2u];
  return bitcast<f32>(select(word << 16u, word & 0xffff0000u, (i & 1u) != 0u));
}
