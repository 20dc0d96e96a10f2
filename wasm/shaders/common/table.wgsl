// table.wgsl: sixteen signed bytes by their index; a format gives them as four words, TABLE. An indexed constant array
// is slow, and has crashed drivers.
//:include nibbles

fn from_table(q: vec4<u32>) -> vec4<u32> {
  let lower = select(vec4<u32>(TABLE.x), vec4<u32>(TABLE.y), q > vec4<u32>(3u));
  let upper = select(vec4<u32>(TABLE.z), vec4<u32>(TABLE.w), q > vec4<u32>(11u));
  return (select(lower, upper, q > vec4<u32>(7u)) >> (8u * (q & vec4<u32>(3u)))) & vec4<u32>(0xffu);
}

fn numbers(q: vec4<u32>) -> vec4<f32> {
  return vec4<f32>(bitcast<vec4<i32>>(from_table(q) << vec4<u32>(24u)) >> vec4<u32>(24u));
}

fn table_bytes(q: vec4<u32>) -> u32 {
  let t = from_table(q);
  return t.x | (t.y << 8u) | (t.z << 16u) | (t.w << 24u);
}

fn load_bytes(at: vec4<u32>, i: u32) -> Bytes {
  let q = heap4[at.x / 4u + i];
  return Bytes(
    vec4<u32>(table_bytes(low_nibbles(q.x)), table_bytes(high_nibbles(q.x)), table_bytes(low_nibbles(q.y)), table_bytes(high_nibbles(q.y))),
    vec4<u32>(table_bytes(low_nibbles(q.z)), table_bytes(high_nibbles(q.z)), table_bytes(low_nibbles(q.w)), table_bytes(high_nibbles(q.w))),
  );
}
