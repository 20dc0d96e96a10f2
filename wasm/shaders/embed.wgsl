// embed.wgsl: rows of the embedding for the batch's tokens, times a factor. CPU: Ops::embed.
// One invocation makes one block of 32 columns of one token. Ids outside of this part of the
// table are another part's.
//:include block
//:include format

struct Params {
  at: vec4<u32>,
  blocks: u32,    // of a row
  first_row: u32, // of this part
  rows: u32,
  n: u32,         // tokens
  factor: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> heap4: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> heap: array<u32>;
@group(0) @binding(3) var<storage, read> ids: array<i32>;
@group(0) @binding(4) var<storage, read_write> x: array<vec4<f32>>; // (n, blocks * 32)
