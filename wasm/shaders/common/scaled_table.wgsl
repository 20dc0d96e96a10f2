// scaled_table.wgsl: d * table[q], d for 32 elements. A format gives, beside TABLE,
//   fn scale_at(at: vec4<u32>, i: u32) -> f32
//:include table

fn load_block(at: vec4<u32>, i: u32) -> Block {
  let q = heap4[at.x / 4u + i];
  let d = scale_at(at, i);
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
  let d = scale_at(at, i);
  return Eight(numbers(low_nibbles(q)) * d, numbers(high_nibbles(q)) * d);
}

fn scales_of(at: vec4<u32>, i: u32) -> Scales {
  return Scales(vec2<f32>(scale_at(at, i)), vec2<f32>(0.0));
}
