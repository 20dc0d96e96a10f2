// sweep.wgsl: groups of LANES neighbouring lanes sweep along rows, ROWS of them at once; then what the lanes hold of
// each row is added up and written. A workgroup has 64 lanes.
//:include products

// While the lanes sweep, the chunk of x that they share; in the end 9 times 64 vectors, of each lane: the sums of its
// rows (of the second product at 4, 5, 6 and 7), a component for each token, and the sum of squares of its part of x.
var<workgroup> tile: array<vec4<f32>, 576>;
const SQUARES = 8u;

// Rows of each product, rounded up to a multiple of 4, so that no group has rows of two.
fn unit(index: u32) -> Unit {
  let units = (params.rows.xyz + 3u) & vec3<u32>(0xfffffffcu);
  if (index < units.x) {
    return Unit(0u, index);
  }
  if (PRODUCTS > 1u && !paired() && index - units.x < units.y) {
    return Unit(1u, index - units.x);
  }
  if (PRODUCTS > 2u && index - units.x >= units.y && index - units.x - units.y < units.z) {
    return Unit(2u, index - units.x - units.y);
  }
  return Unit(3u, 0u);
}

fn regions(product: u32) -> vec4<u32> {
  return select(select(params.at0, params.at1, product == 1u), params.at2, product == 2u);
}

// Blocks of x in the tile at once, for each token.
fn chunk() -> u32 {
  return select(64u / TOKENS, 16u, TOKENS == 3u);
}

// Folds what runs of `span` lanes hold, of which `width` lanes are left, into a quarter of those.
fn fold(slot: u32, lane: u32, span: u32, width: u32) {
  let quarter = max(width / 4u, 1u);
  if (width == 1u || lane % span >= quarter) {
    return;
  }
  let i = slot * 64u + lane;
  var sum = tile[i] + tile[i + quarter];
  if (width > 2u) {
    sum += tile[i + 2u * quarter] + tile[i + 3u * quarter];
  }
  tile[i] = sum;
}

fn fold_all(lane: u32) {
  var width = LANES;
  for (var all = 64u; all > 1u; all /= 4u) {
    workgroupBarrier();
    for (var slot = 0u; slot < ROWS; slot++) {
      fold(slot, lane, LANES, width);
      if (paired()) {
        fold(slot + 4u, lane, LANES, width);
      }
    }
    fold(SQUARES, lane, 64u, all);
    width = max(width / 4u, 1u);
  }
  workgroupBarrier();
}

// A lane finishes one row of all tokens, so that neighbouring rows are written together.
fn finish_row(first_unit: u32, lane: u32, factor: vec4<f32>) {
  if (lane >= 64u / LANES * ROWS) {
    return;
  }
  let done = unit(first_unit + lane);
  if (done.product == 3u || done.row >= params.rows[done.product]) {
    return;
  }
  let i = lane % ROWS * 64u + lane / ROWS * LANES;
  var value = tile[i] * factor + bias_of(done.product, done.row);
  if (paired()) {
    value = gated(value, tile[i + 256u] * factor + bias_of(1u, done.row));
  }
  for (var token = 0u; token < params.n; token++) {
    write(done.product, token, done.row, value[token]);
  }
}
