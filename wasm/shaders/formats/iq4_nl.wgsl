// iq4_nl.wgsl: d * table[q]. The table is four words of bytes: an indexed constant array is slow, and has crashed drivers.
//:include nibbles
//:include f16

// -127 -104 -83 -65, -49 -35 -22 -10, 1 13 25 38, 53 69 89 113
fn table(q: vec4<u32>) -> vec4<f32> {
  let lower = select(vec4<u32>(0xbfad9881u), vec4<u32>(0xf6eaddcfu), q > vec4<u32>(3u));
  let upper = select(vec4<u32>(0x26190d01u), vec4<u32>(0x71594535u), q > vec4<u32>(11u));
  let word = select(lower, upper, q > vec4<u32>(7u));
  return vec4<f32>(bitcast<vec4<i32>>(word << (vec4<u32>(24u) - 8u * (q & vec4<u32>(3u)))) >> vec4<u32>(24u));
}

fn load_block(at: vec4<u32>, i: u32) -> Block {
  let q = heap4[at.x / 4u + i];
  let d = f16_at(at.y, i);
  return Block(
    table(low_nibbles(q.x)) * d,
    table(high_nibbles(q.x)) * d,
    table(low_nibbles(q.y)) * d,
    table(high_nibbles(q.y)) * d,
    table(low_nibbles(q.z)) * d,
    table(high_nibbles(q.z)) * d,
    table(low_nibbles(q.w)) * d,
    table(high_nibbles(q.w)) * d,
  );
}

fn load_eight(at: vec4<u32>, i: u32, part: u32) -> Eight {
  let q = heap[at.x + i * 4u + part];
  let d = f16_at(at.y, i);
  return Eight(table(low_nibbles(q)) * d, table(high_nibbles(q)) * d);
}
