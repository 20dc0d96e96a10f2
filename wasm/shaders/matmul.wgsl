// matmul.wgsl: the product of one matrix with many tokens: prefill. CPU: Ops::matmul.
// y[t][first_row + r] = finish(scale * (x[first_token + t] . W[r] + bias[first_row + r])); x is normalized already.
// Tiles of 64 tokens x 64 rows, 256 invocations with 4 x 4 results each, a block of 32 columns at a
// time through workgroup memory, f32 sums. Workgroups: x = ceil(rows / 64), y = ceil(n / 64).
//:include block
//:include format
//:include finish

override FINISH: u32 = 0; // see common/finish.wgsl; without 2 and 3

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

// Both 64 rows of 8 vectors, the vectors of a row turned about by its number, so that eight rows read at once lie in
// different banks. All of the 16 KiB that every device has.
var<workgroup> x_tile: array<vec4<f32>, 512>;
var<workgroup> w_tile: array<vec4<f32>, 512>;

fn place(row: u32, quad: u32) -> u32 {
  return row * 8u + (quad ^ (row & 7u));
}

// In this order a compiler may fuse all four.
fn mac(x: vec4<f32>, w: vec4<f32>, sum: f32) -> f32 {
  return sum + x.x * w.x + x.y * w.y + x.z * w.z + x.w * w.w;
}

fn mac4(x: vec4<f32>, w0: vec4<f32>, w1: vec4<f32>, w2: vec4<f32>, w3: vec4<f32>, sums: vec4<f32>) -> vec4<f32> {
  return vec4<f32>(mac(x, w0, sums.x), mac(x, w1, sums.y), mac(x, w2, sums.z), mac(x, w3, sums.w));
}

fn store(token: u32, row: u32, sum: f32) {
  if (token >= params.n || row >= params.rows) {
    return;
  }
  var value = sum;
  if (params.bias != 0xffffffffu) {
    value += vectors[params.bias + params.first_row + row];
  }
  value *= params.scale;
  let i = token * params.y_stride + params.first_row + row;
  y[i] = finished(value, y[i]);
}

// Results of one token: every 16th row.
fn store4(token: u32, row: u32, sums: vec4<f32>) {
  store(token, row, sums.x);
  store(token, row + 16u, sums.y);
  store(token, row + 32u, sums.z);
  store(token, row + 48u, sums.w);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let first_row = group.x * 64u;
  let first = group.y * 64u;

  // What this lane loads: two vectors of x, eight columns of a row of W. Beyond the end it loads the last again.
  let x_row = lane / 8u;
  let x_quad = lane % 8u;
  let x_first = params.first_token + first;
  let x_last = params.first_token + params.n - 1u;
  let x_from = min(x_first + x_row, x_last) * params.x_stride / 4u + x_quad;
  let x_next = min(x_first + x_row + 32u, x_last) * params.x_stride / 4u + x_quad;
  let w_row = lane / 4u;
  let w_part = lane % 4u;
  let w_from = min(first_row + w_row, params.rows - 1u) * params.blocks;

  // What it computes: tokens ty + 16i, rows tx + 16j.
  let tx = lane % 16u;
  let ty = lane / 16u;
  var sums0 = vec4<f32>(0.0);
  var sums1 = vec4<f32>(0.0);
  var sums2 = vec4<f32>(0.0);
  var sums3 = vec4<f32>(0.0);

  for (var block = 0u; block < params.blocks; block++) {
    let w = load_eight(params.at, w_from + block, w_part);
    let x0 = x[x_from + block * 8u];
    let x1 = x[x_next + block * 8u];
    workgroupBarrier(); // the tiles before these have been used
    x_tile[place(x_row, x_quad)] = x0;
    x_tile[place(x_row + 32u, x_quad)] = x1;
    w_tile[place(w_row, w_part * 2u)] = w.v0;
    w_tile[place(w_row, w_part * 2u + 1u)] = w.v1;
    workgroupBarrier();
    for (var quad = 0u; quad < 8u; quad++) {
      let w0 = w_tile[place(tx, quad)];
      let w1 = w_tile[place(tx + 16u, quad)];
      let w2 = w_tile[place(tx + 32u, quad)];
      let w3 = w_tile[place(tx + 48u, quad)];
      sums0 = mac4(x_tile[place(ty, quad)], w0, w1, w2, w3, sums0);
      sums1 = mac4(x_tile[place(ty + 16u, quad)], w0, w1, w2, w3, sums1);
      sums2 = mac4(x_tile[place(ty + 32u, quad)], w0, w1, w2, w3, sums2);
      sums3 = mac4(x_tile[place(ty + 48u, quad)], w0, w1, w2, w3, sums3);
    }
  }

  store4(first + ty, first_row + tx, sums0);
  store4(first + ty + 16u, first_row + tx, sums1);
  store4(first + ty + 32u, first_row + tx, sums2);
  store4(first + ty + 48u, first_row + tx, sums3);
}
