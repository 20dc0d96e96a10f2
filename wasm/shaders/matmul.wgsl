// matmul.wgsl: the product of one matrix with many tokens: prefill. CPU: Ops::products.
// y[t][first_row + r] = finish(scale * x[first_token + t] . W[r] + bias[first_row + r]); x is normalized already.
// Tiles of 64 tokens x 64 rows, 256 invocations with 4 x 4 results each, a block of 32 columns at a
// time through workgroup memory, f32 sums. Workgroups: x = ceil(rows / 64), y = ceil(n / 64).
//:include block
//:include format

override FINISH: u32 = 0; // 0 store, 1 add to y, 4 cap * tanh(y / cap)

struct Params {
  at: vec4<u32>,
  rows: u32,      // of this part
  first_row: u32, // where it begins in y
  bias: u32,      // in vectors, or 0xffffffff
  y_stride: u32,  // floats
  blocks: u32,
  x_stride: u32,  // floats
  first_token: u32,
  n: u32,         // tokens
  cap: f32,
  scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> heap4: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> heap: array<u32>;
@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> vectors: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
