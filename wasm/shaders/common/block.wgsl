// block.wgsl: weights of a row as numbers. What a format gives for them is
//   fn load_block(at: vec4<u32>, i: u32) -> Block             block i, with 16-byte loads
//   fn load_eight(at: vec4<u32>, i: u32, part: u32) -> Eight  columns 8 * part ... of block i
// and, where weights are whole numbers with scales, four signed bytes to a word,
//   fn load_bytes(at: vec4<u32>, i: u32) -> Bytes
//   fn scales_of(at: vec4<u32>, i: u32) -> Scales
// where `at` says in which words of the heap the regions of a matrix begin.

// 32 columns; v0 holds the first four.
struct Block {
  v0: vec4<f32>,
  v1: vec4<f32>,
  v2: vec4<f32>,
  v3: vec4<f32>,
  v4: vec4<f32>,
  v5: vec4<f32>,
  v6: vec4<f32>,
  v7: vec4<f32>,
}

struct Eight {
  v0: vec4<f32>,
  v1: vec4<f32>,
}

// 16 columns each.
struct Bytes {
  low: vec4<u32>,
  high: vec4<u32>,
}

// Of each half of a block: weight = scale * q + offset.
struct Scales {
  scale: vec2<f32>,
  offset: vec2<f32>,
}
