// iq4_nl.wgsl: d * table[q].
//:include table
//:include f16

const TABLE = vec4<u32>(0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u);

fn load_block(at: vec4<u32>, i: u32) -> Block {
  let q = heap4[at.x / 4u + i];
  let d = f16_at(at.y, i);
  return Block(
    numbers(low_nibbles(q.x)) * d,
    numbers(high_nibbles(q.x)) * d,
    numbers(low_nibbles(q.y)) * d,
    numbers(high_nibbles(q.y)) * d,
    numbers(low_nibbles(q.z)) * d,
    numbers(high_nibbles(q.z)) * d,
    numbers(low_nibbles(q.w)) * d,
    numbers(high_nibbles(q.w)) * d,
  );
}

fn load_eight(at: vec4<u32>, i: u32, part: u32) -> Eight {
  let q = heap[at.x + i * 4u + part];
  let d = f16_at(at.y, i);
  return Eight(numbers(low_nibbles(q)) * d, numbers(high_nibbles(q)) * d);
}

fn scales_of(at: vec4<u32>, i: u32) -> Scales {
  return Scales(vec2<f32>(f16_at(at.y, i)), vec2<f32>(0.0));
}
