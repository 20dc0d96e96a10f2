// iq4_nl.wgsl: d * table[q]. The table is four words of bytes: an indexed constant array is slow, and has crashed drivers.
//:include nibbles
//:include f16

// Bytes of the table: -127 -104 -83 -65, -49 -35 -22 -10, 1 13 25 38, 53 69 89 113; one in each element.
fn table(q: vec4<u32>) -> vec4<u32> {
  let lower = select(vec4<u32>(0xbfad9881u), vec4<u32>(0xf6eaddcfu), q > vec4<u32>(3u));
  let upper = select(vec4<u32>(0x26190d01u), vec4<u32>(0x71594535u), q > vec4<u32>(11u));
  return (select(lower, upper, q > vec4<u32>(7u)) >> (8u * (q & vec4<u32>(3u)))) & vec4<u32>(0xffu);
}

fn numbers(q: vec4<u32>) -> vec4<f32> {
  return vec4<f32>(bitcast<vec4<i32>>(table(q) << vec4<u32>(24u)) >> vec4<u32>(24u));
}

fn bytes(q: vec4<u32>) -> u32 {
  let t = table(q);
  return t.x | (t.y << 8u) | (t.z << 16u) | (t.w << 24u);
}

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

fn load_bytes(at: vec4<u32>, i: u32) -> Bytes {
  let q = heap4[at.x / 4u + i];
  return Bytes(
    vec4<u32>(bytes(low_nibbles(q.x)), bytes(high_nibbles(q.x)), bytes(low_nibbles(q.y)), bytes(high_nibbles(q.y))),
    vec4<u32>(bytes(low_nibbles(q.z)), bytes(high_nibbles(q.z)), bytes(low_nibbles(q.w)), bytes(high_nibbles(q.w))),
  );
}

fn scales_of(at: vec4<u32>, i: u32) -> Scales {
  return Scales(vec2<f32>(f16_at(at.y, i)), vec2<f32>(0.0));
}
