// f32.wgsl: the numbers themselves.

fn load_block(at: vec4<u32>, i: u32) -> Block {
  let first = at.x / 4u + i * 8u;
  return Block(
    bitcast<vec4<f32>>(heap4[first]),
    bitcast<vec4<f32>>(heap4[first + 1u]),
    bitcast<vec4<f32>>(heap4[first + 2u]),
    bitcast<vec4<f32>>(heap4[first + 3u]),
    bitcast<vec4<f32>>(heap4[first + 4u]),
    bitcast<vec4<f32>>(heap4[first + 5u]),
    bitcast<vec4<f32>>(heap4[first + 6u]),
    bitcast<vec4<f32>>(heap4[first + 7u]),
  );
}

fn load_eight(at: vec4<u32>, i: u32, part: u32) -> Eight {
  let first = at.x / 4u + i * 8u + part * 2u;
  return Eight(bitcast<vec4<f32>>(heap4[first]), bitcast<vec4<f32>>(heap4[first + 1u]));
}
