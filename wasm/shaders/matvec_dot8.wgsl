// matvec_dot8.wgsl: the products of matvec.wgsl with x as quantize.wgsl leaves it, for devices that multiply four bytes at
// once: a quarter of the arithmetic, and x is rounded as on the CPU. For tensor types with whole numbers and scales.
// Units and workgroups are counted as in matvec.wgsl.
requires packed_4x8_integer_dot_product;

//:include block
//:include format
//:include sweep

override LANES: u32 = 16;   // 8, 16, 32 or 64
override ROWS: u32 = 1;     // 1, 2 or 4: rows of one lane group at once
override TOKENS: u32 = 1;   // 1 to 4
override PRODUCTS: u32 = 1; // 1 to 3
override FINISH: u32 = 0;   // see common/finish.wgsl

struct Params {
  at0: vec4<u32>,
  at1: vec4<u32>,
  at2: vec4<u32>,
  rows: vec4<u32>,      // of each product's part
  first_row: vec4<u32>, // where a part's rows begin in its product
  bias: vec4<u32>,      // of each product, in vectors, or 0xffffffff
  y_stride: vec4<u32>,  // floats
  blocks: u32,          // of a row: columns / 32 rounded up
  n: u32,               // tokens, at most TOKENS
  cap: f32,
  scale: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> heap4: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> heap: array<u32>;
@group(0) @binding(3) var<storage, read> x: array<vec4<u32>>; // (n, blocks, 3)
@group(0) @binding(4) var<storage, read> vectors: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> y0: array<f32>;
@group(0) @binding(6) var<storage, read_write> y1: array<f32>; // unused for gate and up: the result is y0
@group(0) @binding(7) var<storage, read_write> y2: array<f32>;

// A chunk of x. Three vectors to a block, so that neighbouring ones lie in different banks.
var<workgroup> x_tile: array<vec4<u32>, 192>;

// Brings `count` blocks of a token into the tile.
fn stage(token: u32, first: u32, count: u32, lane: u32) -> f32 {
  let row = min(token, params.n - 1u) * params.blocks * 3u;
  for (var i = lane; i < count * 3u; i += 64u) {
    x_tile[token * chunk() * 3u + i] = x[row + first * 3u + i];
  }
  return 0.0;
}

fn dot16(w: vec4<u32>, x: vec4<u32>) -> f32 {
  return f32(dot4I8Packed(w.x, x.x) + dot4I8Packed(w.y, x.y) + dot4I8Packed(w.z, x.z) + dot4I8Packed(w.w, x.w));
}

fn dot_block(w: Bytes, s: Scales, token: u32, block: u32) -> f32 {
  let i = (token * chunk() + block) * 3u;
  let sums = bitcast<vec4<f32>>(x_tile[i + 2u]);
  let low = dot16(w.low, x_tile[i]);
  let high = dot16(w.high, x_tile[i + 1u]);
  return sums.x * (s.scale.x * low + s.scale.y * high) + s.offset.x * sums.y + s.offset.y * sums.z;
}

// Block i of W times that of each token.
fn products(at: vec4<u32>, i: u32, block: u32) -> vec4<f32> {
  let w = load_bytes(at, i);
  let s = scales_of(at, i);
  var sums = vec4<f32>(dot_block(w, s, 0u, block), 0.0, 0.0, 0.0);
  if (TOKENS > 1u) {
    sums.y = dot_block(w, s, 1u, block);
  }
  if (TOKENS > 2u) {
    sums.z = dot_block(w, s, 2u, block);
  }
  if (TOKENS > 3u) {
    sums.w = dot_block(w, s, 3u, block);
  }
  return sums;
}

fn multiply(at: vec4<u32>, i: u32, block: u32) -> Four {
  var sums: Four;
  sums.r0 = products(at, i, block);
  if (ROWS > 1u) {
    sums.r1 = products(at, i + params.blocks, block);
  }
  if (ROWS > 2u) {
    sums.r2 = products(at, i + 2u * params.blocks, block);
    sums.r3 = products(at, i + 3u * params.blocks, block);
  }
  return sums;
}

fn factors(squares: vec4<f32>) -> vec4<f32> {
  return vec4<f32>(params.scale);
}
