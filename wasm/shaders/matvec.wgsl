// matvec.wgsl: products of up to three matrices with the same few tokens: decode. CPU: Ops::products.
// y_p[t][first_row_p + r] = finish(scale * norm(x[first_token + t]) . W_p[r] + bias_p[first_row_p + r]).
// A group of LANES neighbouring lanes sweeps along a row, block by block, so that they read
// neighbouring 16-byte words; a workgroup of 64 lanes has 64 / LANES groups, each with ROWS rows.
// Rows of the products are counted one after the other; with FINISH 2 or 3 (gate and up) row r of
// both belongs to one unit. Workgroups: ceil(units / (64 / LANES * ROWS)), over x and y of the grid.
// The norm costs nothing extra: sums of squares run along, and 1 / rms(x) is a factor of the result.
//:include block
//:include format

override LANES: u32 = 16;   // 8, 16, 32 or 64
override ROWS: u32 = 1;     // 1, 2 or 4: rows of one lane group at once
override TOKENS: u32 = 1;   // 1 to 4
override PRODUCTS: u32 = 1; // 1 to 3
override FINISH: u32 = 0;   // 0 store, 1 add to y, 2 silu(y0) * y1, 3 gelu(y0) * y1 (tanh form), 4 cap * tanh(y / cap)
override NORM: u32 = 0;     // 1: x is normalized with params.norm

struct Params {
  at0: vec4<u32>,
  at1: vec4<u32>,
  at2: vec4<u32>,
  rows: vec4<u32>,      // of each product's part
  first_row: vec4<u32>, // where a part's rows begin in its product
  bias: vec4<u32>,      // of each product, in vectors, or 0xffffffff
  y_stride: vec4<u32>,  // floats
  blocks: u32,          // of a row: columns / 32 rounded up
  width: u32,           // columns
  x_stride: u32,        // floats
  first_token: u32,     // of x; y begins with it
  n: u32,               // tokens, at most TOKENS
  norm: u32,            // in vectors
  epsilon: f32,
  cap: f32,
  scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> heap4: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> heap: array<u32>;
@group(0) @binding(3) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> vectors: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> y0: array<f32>;
@group(0) @binding(6) var<storage, read_write> y1: array<f32>; // unused for gate and up: the result is y0
@group(0) @binding(7) var<storage, read_write> y2: array<f32>;
