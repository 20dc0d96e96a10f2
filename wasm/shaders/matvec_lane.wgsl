// matvec_lane.wgsl: the products of matvec.wgsl with a lane to a row: no workgroup memory, no
// barriers, which cost a device that is emulated by a processor more than all else (20 to 40 times
// under SwiftShader). Neighbouring lanes read words that are a row apart, so a real GPU is slow with it; which form is
// used is measured when a model is loaded. CPU: Ops::matmul.
// Units are counted as in matvec.wgsl. Workgroups: ceil(units / 64) over x and y of the grid, ceil(n / TOKENS) in z.
//:include block
//:include format
//:include products

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
  n: u32,               // tokens
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

fn unit(index: u32) -> Unit {
  if (index < params.rows.x) {
    return Unit(0u, index);
  }
  if (PRODUCTS > 1u && !paired() && index - params.rows.x < params.rows.y) {
    return Unit(1u, index - params.rows.x);
  }
  if (PRODUCTS > 2u && index - params.rows.x >= params.rows.y && index - params.rows.x - params.rows.y < params.rows.z) {
    return Unit(2u, index - params.rows.x - params.rows.y);
  }
  return Unit(3u, 0u);
}

// Four columns of x, and of their products with a row's weights.
fn at_x(token: u32, quad: u32) -> vec4<f32> {
  return x[(params.first_token + min(token, params.n - 1u)) * params.x_stride / 4u + quad];
}

fn weigh(value: vec4<f32>, quad: u32) -> vec4<f32> {
  if (NORM == 1u) {
    return value * vectors[params.norm / 4u + quad];
  }
  return value;
}

// The part of a dot product in one block, as a vector of sums.
fn dot_block(w: Block, token: u32, quad: u32) -> vec4<f32> {
  return w.v0 * weigh(at_x(token, quad), quad)
    + w.v1 * weigh(at_x(token, quad + 1u), quad + 1u)
    + w.v2 * weigh(at_x(token, quad + 2u), quad + 2u)
    + w.v3 * weigh(at_x(token, quad + 3u), quad + 3u)
    + w.v4 * weigh(at_x(token, quad + 4u), quad + 4u)
    + w.v5 * weigh(at_x(token, quad + 5u), quad + 5u)
    + w.v6 * weigh(at_x(token, quad + 6u), quad + 6u)
    + w.v7 * weigh(at_x(token, quad + 7u), quad + 7u);
}

fn total(v: vec4<f32>) -> f32 {
  return (v.x + v.y) + (v.z + v.w);
}

// 1 / rms of a token's x.
fn norm_of(token: u32) -> f32 {
  var sum = vec4<f32>(0.0);
  for (var quad = 0u; quad < params.blocks * 8u; quad++) {
    let value = at_x(token, quad);
    sum += value * value;
  }
  return inverseSqrt(total(sum) / f32(params.width) + params.epsilon);
}

fn multiply(at: vec4<u32>, row: u32, token: u32) -> vec4<f32> {
  var s0 = vec4<f32>(0.0);
  var s1 = vec4<f32>(0.0);
  var s2 = vec4<f32>(0.0);
  var s3 = vec4<f32>(0.0);
  for (var block = 0u; block < params.blocks; block++) {
    let w = load_block(at, row * params.blocks + block);
    let quad = block * 8u;
    s0 += dot_block(w, token, quad);
    if (TOKENS > 1u) {
      s1 += dot_block(w, token + 1u, quad);
    }
    if (TOKENS > 2u) {
      s2 += dot_block(w, token + 2u, quad);
    }
    if (TOKENS > 3u) {
      s3 += dot_block(w, token + 3u, quad);
    }
  }
  return vec4<f32>(total(s0), total(s1), total(s2), total(s3));
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let mine = unit((group.x + group.y * groups.x) * 64u + lane);
  if (mine.product == 3u) {
    return;
  }
  let token = group.z * TOKENS;
  let at = select(select(params.at0, params.at1, mine.product == 1u), params.at2, mine.product == 2u);
  var factor = vec4<f32>(params.scale);
  if (NORM == 1u) {
    factor.x *= norm_of(token);
    if (TOKENS > 1u) {
      factor.y *= norm_of(token + 1u);
    }
    if (TOKENS > 2u) {
      factor.z *= norm_of(token + 2u);
    }
    if (TOKENS > 3u) {
      factor.w *= norm_of(token + 3u);
    }
  }
  var value = multiply(at, mine.row, token) * factor + bias_of(mine.product, mine.row);
  if (paired()) {
    value = gated(value, multiply(params.at1, mine.row, token) * factor + bias_of(1u, mine.row));
  }
  for (var t = 0u; t < min(TOKENS, params.n - token); t++) {
    write(mine.product, token + t, mine.row, value[t]);
  }
}
