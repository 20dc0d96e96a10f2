// sweep.wgsl: groups of LANES neighbouring lanes sweep along rows, block by block, ROWS rows at once, so that they read
// neighbouring words; then what the lanes hold of each row is added up and written. A workgroup has 64 lanes.
// What x is, and how a block is multiplied with it, a shader gives:
//   fn stage(token: u32, first: u32, count: u32, lane: u32) -> f32      brings blocks of x into workgroup memory, all
//                                                                      lanes a part; the squares of this lane's part
//   fn multiply(at: vec4<u32>, i: u32, block: u32) -> Four              blocks i, i + params.blocks ... of ROWS rows
//                                                                      with block `block` of what was staged
//   fn factors(squares: vec4<f32>) -> vec4<f32>                         what to multiply the sums with
//:include units

// 9 times 64 vectors, in the end what each lane has: the sums of its rows (of the second product at 4, 5, 6 and 7) and
// the squares of its part of x. While the lanes sweep it may hold the blocks of x.
var<workgroup> tile: array<vec4<f32>, 576>;
const SQUARES = 8u;

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

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let first_unit = (group.x + group.y * groups.x) * (64u / LANES * ROWS);
  let mine = unit(first_unit + lane / LANES * ROWS);
  let at = regions(mine.product);
  let row = mine.row * params.blocks;

  // Sums of ROWS rows, a component for each token; of `up` where there are pairs.
  var a0 = vec4<f32>(0.0);
  var a1 = vec4<f32>(0.0);
  var a2 = vec4<f32>(0.0);
  var a3 = vec4<f32>(0.0);
  var b0 = vec4<f32>(0.0);
  var b1 = vec4<f32>(0.0);
  var b2 = vec4<f32>(0.0);
  var b3 = vec4<f32>(0.0);
  var squares = vec4<f32>(0.0);

  for (var first = 0u; first < params.blocks; first += chunk()) {
    let count = min(chunk(), params.blocks - first);
    workgroupBarrier(); // the chunk before this one has been used
    squares.x += stage(0u, first, count, lane);
    if (TOKENS > 1u) {
      squares.y += stage(1u, first, count, lane);
    }
    if (TOKENS > 2u) {
      squares.z += stage(2u, first, count, lane);
    }
    if (TOKENS > 3u) {
      squares.w += stage(3u, first, count, lane);
    }
    workgroupBarrier();
    for (var block = lane % LANES; block < count; block += LANES) {
      let i = row + first + block;
      let a = multiply(at, i, block);
      a0 += a.r0;
      a1 += a.r1;
      a2 += a.r2;
      a3 += a.r3;
      if (paired()) {
        let b = multiply(params.at1, i, block);
        b0 += b.r0;
        b1 += b.r1;
        b2 += b.r2;
        b3 += b.r3;
      }
    }
  }

  workgroupBarrier();
  tile[lane] = a0;
  tile[lane + 64u] = a1;
  tile[lane + 128u] = a2;
  tile[lane + 192u] = a3;
  if (paired()) {
    tile[lane + 256u] = b0;
    tile[lane + 320u] = b1;
    tile[lane + 384u] = b2;
    tile[lane + 448u] = b3;
  }
  tile[SQUARES * 64u + lane] = squares;
  fold_all(lane);
  finish_row(first_unit, lane, factors(tile[SQUARES * 64u]));
}
