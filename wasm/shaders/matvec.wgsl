// matvec.wgsl: products of up to three matrices with the same few tokens: decode. CPU: Ops::matmul.
// y_p[t][first_row_p + r] = finish(scale * (norm(x[first_token + t]) . W_p[r] + bias_p[first_row_p + r])).
// A workgroup of 64 lanes has 64 / LANES groups of neighbouring lanes, each with ROWS rows: see common/sweep.wgsl.
// Rows of the products, rounded up to a multiple of 4 each, are units, counted one product after the other; with
// FINISH 2 or 3 (gate and up) row r of both is one unit. Workgroups: ceil(units / (64 / LANES * ROWS)), over x and y
// of the grid.
// The norm costs nothing extra: sums of squares run along, and 1 / rms(x) is a factor of the result.
// LANES * TOKENS is best at most 64: more lanes than blocks of a chunk have nothing to do.
//:include block
//:include dot32
//:include format
//:include sweep

override LANES: u32 = 16;   // 8, 16, 32 or 64
override ROWS: u32 = 1;     // 1, 2 or 4: rows of one lane group at once
override TOKENS: u32 = 1;   // 1 to 4
override PRODUCTS: u32 = 1; // 1 to 3
override FINISH: u32 = 0;   // see common/finish.wgsl
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

// Where a vector of x is in the tile: the eight of a block are turned about by the block's number, so that lanes with
// neighbouring blocks read different banks.
fn place(token: u32, block: u32, quad: u32) -> u32 {
  return (token * chunk() + block) * 8u + (quad ^ (block & 7u));
}

// Brings `count` blocks of a token into the tile; returns this lane's part of the sum of their squares.
fn stage(token: u32, first: u32, count: u32, lane: u32) -> f32 {
  let row = (params.first_token + min(token, params.n - 1u)) * params.x_stride / 4u;
  var sum = 0.0;
  for (var i = lane; i < count * 8u; i += 64u) {
    var value = x[row + first * 8u + i];
    if (NORM == 1u) {
      sum += dot(value, value);
      value *= vectors[params.norm / 4u + first * 8u + i];
    }
    tile[place(token, i / 8u, i % 8u)] = value;
  }
  return sum;
}

fn load_x(token: u32, block: u32) -> Block {
  return Block(
    tile[place(token, block, 0u)],
    tile[place(token, block, 1u)],
    tile[place(token, block, 2u)],
    tile[place(token, block, 3u)],
    tile[place(token, block, 4u)],
    tile[place(token, block, 5u)],
    tile[place(token, block, 6u)],
    tile[place(token, block, 7u)],
  );
}

// Block i of W times that of each token; `x` is the first one's, which all rows share.
fn products(at: vec4<u32>, i: u32, x: Block, block: u32) -> vec4<f32> {
  let w = load_block(at, i);
  var sums = vec4<f32>(dot32(w, x), 0.0, 0.0, 0.0);
  if (TOKENS > 1u) {
    sums.y = dot32(w, load_x(1u, block));
  }
  if (TOKENS > 2u) {
    sums.z = dot32(w, load_x(2u, block));
  }
  if (TOKENS > 3u) {
    sums.w = dot32(w, load_x(3u, block));
  }
  return sums;
}

fn multiply(at: vec4<u32>, i: u32, block: u32) -> Four {
  let x = load_x(0u, block);
  var sums: Four;
  sums.r0 = products(at, i, x, block);
  if (ROWS > 1u) {
    sums.r1 = products(at, i + params.blocks, x, block);
  }
  if (ROWS > 2u) {
    sums.r2 = products(at, i + 2u * params.blocks, x, block);
    sums.r3 = products(at, i + 3u * params.blocks, x, block);
  }
  return sums;
}

fn factors(squares: vec4<f32>) -> vec4<f32> {
  if (NORM == 1u) {
    return params.scale * inverseSqrt(squares / f32(params.width) + params.epsilon);
  }
  return vec4<f32>(params.scale);
}
