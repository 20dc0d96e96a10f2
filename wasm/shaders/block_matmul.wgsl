// block_matmul.wgsl: y = W x + bias, W block-diagonal: rows see the block of x that has their own places. CPU:
// Ops::block_matmul. One lane a row, four tokens. Workgroups: ceil(rows / 64), ceil(n / 4).
//:include block
//:include format

struct Params {
  at: vec4<u32>,
  rows: u32,      // of this part
  first_row: u32, // of this part
  blocks: u32,    // of 32 columns, of a row
  bias: u32,      // in vectors, or 0xffffffff
  x_stride: u32,  // floats
  y_stride: u32,
  n: u32,         // tokens
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> heap4: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> heap: array<u32>;
@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> vectors: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

fn dot_block(w: Block, quad: u32) -> f32 {
  let sum = w.v0 * x[quad] + w.v1 * x[quad + 1u] + w.v2 * x[quad + 2u] + w.v3 * x[quad + 3u]
    + w.v4 * x[quad + 4u] + w.v5 * x[quad + 5u] + w.v6 * x[quad + 6u] + w.v7 * x[quad + 7u];
  return (sum.x + sum.y) + (sum.z + sum.w);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let own = group.x * 64u + lane;
  if (own >= params.rows) {
    return;
  }
  let row = params.first_row + own;
  let first = group.y * 4u;
  let last = min(params.n - first, 4u) - 1u;
  let columns = params.blocks * 32u;
  let quad = (first * params.x_stride + row / columns * columns) / 4u; // of the first token's block
  let step = params.x_stride / 4u;
  var sums = vec4<f32>(0.0);
  for (var block = 0u; block < params.blocks; block++) {
    let w = load_block(params.at, own * params.blocks + block);
    let at = quad + block * 8u;
    sums += vec4<f32>(
      dot_block(w, at),
      dot_block(w, at + min(last, 1u) * step),
      dot_block(w, at + min(last, 2u) * step),
      dot_block(w, at + last * step),
    );
  }
  if (params.bias != 0xffffffffu) {
    sums += vectors[params.bias + row];
  }
  for (var t = 0u; t <= last; t++) {
    y[(first + t) * params.y_stride + row] = sums[t];
  }
}
