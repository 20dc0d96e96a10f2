// matvec_subgroup.wgsl: the products of matvec.wgsl without a copy of x in workgroup memory: it comes from the device's
// cache, and lanes add up what they hold by shuffling it within their subgroup. Nobody waits for others while they sweep;
// at the end they do where a subgroup has fewer lanes than sweep along a row. Units and workgroups are counted as in
// matvec.wgsl.
// That neighbours in a workgroup are neighbours in their subgroup is true of every device we know of, and promised by
// none: where it is not, the self-test tells.
enable subgroups;
diagnostic(off, subgroup_uniformity);

//:include block
//:include dot32
//:include format
//:include units

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

// What is left of each row when a subgroup's lanes are added up: 9 vectors (see main) of at most 16 subgroups.
var<workgroup> partials: array<vec4<f32>, 144>;

fn at_x(token: u32, quad: u32) -> vec4<f32> {
  return x[(params.first_token + min(token, params.n - 1u)) * params.x_stride / 4u + quad];
}

fn load_x(token: u32, block: u32) -> Block {
  let quad = block * 8u;
  return Block(
    at_x(token, quad),
    at_x(token, quad + 1u),
    at_x(token, quad + 2u),
    at_x(token, quad + 3u),
    at_x(token, quad + 4u),
    at_x(token, quad + 5u),
    at_x(token, quad + 6u),
    at_x(token, quad + 7u),
  );
}

fn weighed(b: Block, block: u32) -> Block {
  let w = params.norm / 4u + block * 8u;
  return Block(
    b.v0 * vectors[w],
    b.v1 * vectors[w + 1u],
    b.v2 * vectors[w + 2u],
    b.v3 * vectors[w + 3u],
    b.v4 * vectors[w + 4u],
    b.v5 * vectors[w + 5u],
    b.v6 * vectors[w + 6u],
    b.v7 * vectors[w + 7u],
  );
}

// A block of each token.
struct Tokens {
  t0: Block,
  t1: Block,
  t2: Block,
  t3: Block,
}

fn load_all(block: u32) -> Tokens {
  var all: Tokens;
  all.t0 = load_x(0u, block);
  if (TOKENS > 1u) {
    all.t1 = load_x(1u, block);
  }
  if (TOKENS > 2u) {
    all.t2 = load_x(2u, block);
  }
  if (TOKENS > 3u) {
    all.t3 = load_x(3u, block);
  }
  return all;
}

fn squared(x: Tokens) -> vec4<f32> {
  var sums = vec4<f32>(dot32(x.t0, x.t0), 0.0, 0.0, 0.0);
  if (TOKENS > 1u) {
    sums.y = dot32(x.t1, x.t1);
  }
  if (TOKENS > 2u) {
    sums.z = dot32(x.t2, x.t2);
  }
  if (TOKENS > 3u) {
    sums.w = dot32(x.t3, x.t3);
  }
  return sums;
}

fn weighed_all(x: Tokens, block: u32) -> Tokens {
  var all: Tokens;
  all.t0 = weighed(x.t0, block);
  if (TOKENS > 1u) {
    all.t1 = weighed(x.t1, block);
  }
  if (TOKENS > 2u) {
    all.t2 = weighed(x.t2, block);
  }
  if (TOKENS > 3u) {
    all.t3 = weighed(x.t3, block);
  }
  return all;
}

fn products(at: vec4<u32>, i: u32, x: Tokens) -> vec4<f32> {
  let w = load_block(at, i);
  var sums = vec4<f32>(dot32(w, x.t0), 0.0, 0.0, 0.0);
  if (TOKENS > 1u) {
    sums.y = dot32(w, x.t1);
  }
  if (TOKENS > 2u) {
    sums.z = dot32(w, x.t2);
  }
  if (TOKENS > 3u) {
    sums.w = dot32(w, x.t3);
  }
  return sums;
}

// `sums` and the products of block i of ROWS rows with that of x.
fn multiply(sums: Four, at: vec4<u32>, i: u32, x: Tokens) -> Four {
  var more = sums;
  more.r0 += products(at, i, x);
  if (ROWS > 1u) {
    more.r1 += products(at, i + params.blocks, x);
  }
  if (ROWS > 2u) {
    more.r2 += products(at, i + 2u * params.blocks, x);
    more.r3 += products(at, i + 3u * params.blocks, x);
  }
  return more;
}

// The sum over `span` neighbouring lanes, in all of them.
fn across(v: vec4<f32>, span: u32) -> vec4<f32> {
  var sum = v;
  for (var apart = 1u; apart < span; apart *= 2u) {
    if (TOKENS == 1u) {
      sum.x += subgroupShuffleXor(sum.x, apart);
    } else {
      sum += subgroupShuffleXor(sum, apart);
    }
  }
  return sum;
}

fn fold(v: Four, span: u32) -> Four {
  var sums = v;
  sums.r0 = across(v.r0, span);
  if (ROWS > 1u) {
    sums.r1 = across(v.r1, span);
  }
  if (ROWS > 2u) {
    sums.r2 = across(v.r2, span);
    sums.r3 = across(v.r3, span);
  }
  return sums;
}

// Row `row` of four.
fn row_of(v: Four, row: u32) -> vec4<f32> {
  return select(select(v.r0, v.r1, row == 1u), select(v.r2, v.r3, row == 3u), row > 1u);
}

fn keep(v: Four, slot: u32, subgroup: u32) {
  partials[slot * 16u + subgroup] = v.r0;
  partials[(slot + 1u) * 16u + subgroup] = v.r1;
  partials[(slot + 2u) * 16u + subgroup] = v.r2;
  partials[(slot + 3u) * 16u + subgroup] = v.r3;
}

// The sum over `count` subgroups.
fn kept(slot: u32, first: u32, count: u32) -> vec4<f32> {
  var sum = partials[slot * 16u + first];
  for (var i = 1u; i < count; i++) {
    sum += partials[slot * 16u + first + i];
  }
  return sum;
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_size) size: u32,
) {
  let first_unit = (group.x + group.y * groups.x) * (64u / LANES * ROWS);
  let mine = unit(first_unit + lane / LANES * ROWS);
  let at = regions(mine.product);
  let row = mine.row * params.blocks;

  // Sums of ROWS rows, a component for each token; of `up` where there are pairs.
  var a: Four;
  var b: Four;
  var squares = vec4<f32>(0.0);
  for (var block = lane % LANES; block < params.blocks; block += LANES) {
    var here = load_all(block);
    if (NORM == 1u) {
      squares += squared(here);
      here = weighed_all(here, block);
    }
    a = multiply(a, at, row + block, here);
    if (paired()) {
      b = multiply(b, params.at1, row + block, here);
    }
  }

  let span = min(LANES, size);
  a = fold(a, span);
  if (paired()) {
    b = fold(b, span);
  }
  if (NORM == 1u) {
    squares = across(squares, span);
  }
  // A lane finishes one row of all tokens.
  let own = lane % LANES;
  var value = row_of(a, own);
  var up = row_of(b, own);
  if (LANES > size) {
    if (lane % size == 0u) {
      keep(a, 0u, lane / size);
      keep(b, 4u, lane / size);
      partials[128u + lane / size] = squares;
    }
    workgroupBarrier();
    let first = lane / LANES * (LANES / size);
    value = kept(own % 4u, first, LANES / size);
    up = kept(4u + own % 4u, first, LANES / size);
    squares = kept(8u, first, LANES / size);
  }
  let done = Unit(mine.product, mine.row + own);
  if (own >= ROWS || done.product == 3u || done.row >= params.rows[done.product]) {
    return;
  }
  var factor = vec4<f32>(params.scale);
  if (NORM == 1u) {
    factor *= inverseSqrt(squares / f32(params.width) + params.epsilon);
  }
  value = value * factor + bias_of(done.product, done.row);
  if (paired()) {
    value = gated(value, up * factor + bias_of(1u, done.row));
  }
  for (var token = 0u; token < params.n; token++) {
    write(done.product, token, done.row, value[token]);
  }
}
