// indexed.wgsl: d * scale * table[q], a scale for 16 elements; d is a whole f32 for each super-block of eight blocks.
//:include table
//:include k_scales

fn scale_pair(at: vec4<u32>, i: u32) -> vec2<f32> {
  let bytes = bitcast<vec2<i32>>(bytes_of(at, i) << vec2<u32>(24u)) >> vec2<u32>(24u);
  return vec2<f32>(bytes) * bitcast<f32>(heap[at.z + i / 8u]);
}

fn load_block(at: vec4<u32>, i: u32) -> Block {
  let q = heap4[at.x / 4u + i];
  let d = scale_pair(at, i);
  return Block(
    numbers(low_nibbles(q.x)) * d.x,
    numbers(high_nibbles(q.x)) * d.x,
    numbers(low_nibbles(q.y)) * d.x,
    numbers(high_nibbles(q.y)) * d.x,
    numbers(low_nibbles(q.z)) * d.y,
    numbers(high_nibbles(q.z)) * d.y,
    numbers(low_nibbles(q.w)) * d.y,
    numbers(high_nibbles(q.w)) * d.y,
  );
}

fn load_eight(at: vec4<u32>, i: u32, part: u32) -> Eight {
  let q = heap[at.x + i * 4u + part];
  let pair = scale_pair(at, i);
  let d = select(pair.x, pair.y, part > 1u);
  return Eight(numbers(low_nibbles(q)) * d, numbers(high_nibbles(q)) * d);
}

fn scales_of(at: vec4<u32>, i: u32) -> Scales {
  return Scales(scale_pair(at, i), vec2<f32>(0.0));
}
