// matvec_dot8.wgsl: the products of matvec.wgsl with x rounded to signed bytes, a scale for each 32 columns, for devices
// that multiply four bytes at once: a quarter of the arithmetic, and about as exact as the CPU. For tensor types with
// whole numbers and scales. Units and workgroups are counted as in matvec.wgsl.
// Each workgroup rounds x for itself, which is less work than one row of products and saves a dispatch. 1 / rms(x) is
// the same for a whole row, so that it changes no rounding and may come last.
requires packed_4x8_integer_dot_product;

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

// A chunk of x, three vectors to a block, so that neighbouring ones lie in different banks: the bytes, then the scale,
// and the scale times the sum of the first 16 and of the last 16.
var<workgroup> x_tile: array<vec4<u32>, 192>;

fn bits(v: vec4<f32>) -> vec4<u32> {
  return bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu);
}

// The largest of the absolute values, as an integer: what is no number is larger than any that is one.
fn largest(v: Block) -> u32 {
  let a = max(max(bits(v.v0), bits(v.v1)), max(bits(v.v2), bits(v.v3)));
  let b = max(a, max(max(bits(v.v4), bits(v.v5)), max(bits(v.v6), bits(v.v7))));
  return max(max(b.x, b.y), max(b.z, b.w));
}

fn sum16(q: vec4<u32>) -> f32 {
  const ones = 0x01010101u;
  return f32(dot4I8Packed(q.x, ones) + dot4I8Packed(q.y, ones) + dot4I8Packed(q.z, ones) + dot4I8Packed(q.w, ones));
}

fn as_bytes(v: vec4<f32>, factor: f32) -> u32 {
  return pack4xI8(vec4<i32>(round(v * factor)));
}

// Brings `count` blocks of a token into the tile, a block a lane; returns this lane's part of the sum of their squares.
fn stage(token: u32, first: u32, count: u32, lane: u32) -> f32 {
  let row = (params.first_token + min(token, params.n - 1u)) * params.x_stride / 4u;
  var sum = 0.0;
  for (var block = lane; block < count; block += 64u) {
    let at = row + (first + block) * 8u;
    var v = Block(x[at], x[at + 1u], x[at + 2u], x[at + 3u], x[at + 4u], x[at + 5u], x[at + 6u], x[at + 7u]);
    if (NORM == 1u) {
      sum += dot32(v, v);
      let w = params.norm / 4u + (first + block) * 8u;
      v.v0 *= vectors[w];
      v.v1 *= vectors[w + 1u];
      v.v2 *= vectors[w + 2u];
      v.v3 *= vectors[w + 3u];
      v.v4 *= vectors[w + 4u];
      v.v5 *= vectors[w + 5u];
      v.v6 *= vectors[w + 6u];
      v.v7 *= vectors[w + 7u];
    }
    let most_bits = largest(v);
    let most = bitcast<f32>(most_bits);
    let factor = select(0.0, 127.0 / most, most > 1e-30);
    let scale = most / 127.0;
    let low = vec4<u32>(as_bytes(v.v0, factor), as_bytes(v.v1, factor), as_bytes(v.v2, factor), as_bytes(v.v3, factor));
    let high = vec4<u32>(as_bytes(v.v4, factor), as_bytes(v.v5, factor), as_bytes(v.v6, factor), as_bytes(v.v7, factor));
    let i = (token * chunk() + block) * 3u;
    x_tile[i] = low;
    x_tile[i + 1u] = high;
    let sums = bitcast<vec2<u32>>(scale * vec2<f32>(sum16(low), sum16(high)));
    // Bytes would make a number even of what is none.
    let scale_bits = select(bitcast<u32>(scale), 0x7fc00000u, most_bits >= 0x7f800000u);
    x_tile[i + 2u] = vec4<u32>(scale_bits, sums, 0u);
  }
  return sum;
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
  if (NORM == 1u) {
    return params.scale * inverseSqrt(squares / f32(params.width) + params.epsilon);
  }
  return vec4<f32>(params.scale);
}
