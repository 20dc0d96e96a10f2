// attention.wgsl: scaled dot-product attention over the cache with an online softmax (Milakov and Gimelshein 2018).
// CPU: attend(). q is scaled already. Row r of a key head is query head r % group of token r / group, where group =
// n_head / n_head_kv; a workgroup has QUERIES neighbouring rows, which share each key and value that it loads, and one
// segment of positions: x = n_head_kv, y = ceil(n * group / QUERIES), z = segments.
// Token t at position past + t sees [max(0, past + t + 1 - window), past + t] (window 0: from 0), and as many as `ahead`
// positions behind itself where the batch has them; with BLOCKS from blocks[t].x on, if that is before, and until
// blocks[t].y, if that is behind. What rows see rises with them, at both ends. Segment s covers the
// positions [(first / segment + s) * segment, that + segment), where first is the first that the workgroup's first row
// sees; with SPLIT 0 there is one, which covers them all.
// With SPLIT 0 the result goes to out; else the undivided sums, the maximum and the sum of weights of each
// (token, head, segment) go to partials, (n, n_head, segments, HEAD_DIM + 2), and attention_merge.wgsl joins them.
//
// 32 positions at a time: four lanes of a key share its columns, then a lane has a position's weights for four rows,
// then a lane has four columns of the values of every 1st, 2nd, 4th or 8th position.
//:include activation

override HEAD_DIM: u32 = 64; // a multiple of 8, at most 512
override QUERIES: u32 = 4;   // 1 to 8; rounded up to 4 or 8, at most 2048 / HEAD_DIM
override SPLIT: u32 = 0;
override F16: u32 = 1;       // the cache's elements
override BLOCKS: u32 = 0;    // tokens see each other in blocks

struct Params {
  n_head: u32,
  n_head_kv: u32,
  q_stride: u32,   // floats
  out_stride: u32, // floats
  capacity: u32,   // slots
  window: u32,
  ahead: u32,      // at most n
  n: u32,          // tokens
  segment: u32,    // positions of a segment
  softcap: f32,    // 0 is off
}
struct Batch {
  past: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> batch: Batch;
@group(0) @binding(2) var<storage, read> q: array<f32>;
@group(0) @binding(3) var<storage, read> keys: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> values: array<vec2<u32>>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> partials: array<f32>;
@group(0) @binding(7) var<storage, read> blocks: array<vec2<u32>>; // (n) positions

const LANES = 128u;
const TILE = 32u; // positions
const MASKED = -1e30;

// Numbers of four rows stand together in a vector; FOURS of those.
// (HEAD_DIM, FOURS), vectors of eight columns turned about, so that the four lanes of a key read different banks.
var<workgroup> queries: array<vec4<f32>, (QUERIES + 3u) / 4u * HEAD_DIM>;
var<workgroup> parts: array<vec4<f32>, (QUERIES + 3u) / 4u * 128u>;  // (FOURS, LANES)
var<workgroup> scores: array<vec4<f32>, (QUERIES + 3u) / 4u * 32u>;  // (FOURS, TILE)
var<workgroup> weights: array<vec4<f32>, (QUERIES + 3u) / 4u * 32u>; // (FOURS, TILE)
var<workgroup> shrinks: array<vec4<f32>, 2>;
var<workgroup> maxima: array<vec4<f32>, 2>;

fn fours() -> u32 {
  return (QUERIES + 3u) / 4u;
}

struct Row {
  valid: bool,
  token: u32,
  head: u32,
}

fn row_of(key_head: u32, tile: u32, query: u32) -> Row {
  let group = params.n_head / params.n_head_kv;
  let row = tile * QUERIES + query;
  return Row(query < QUERIES && row < params.n * group, row / group, key_head * group + row % group);
}

fn first_seen(token: u32) -> u32 {
  let next = batch.past + token + 1u;
  let first = select(0u, next - params.window, params.window != 0u && next > params.window);
  if (BLOCKS == 1u) {
    return min(first, blocks[token].x);
  }
  return first;
}

fn query_place(column: u32, four: u32) -> u32 {
  return (column * fours() + four) ^ ((column / 8u) & 7u);
}

// Column `column` of four rows.
fn query_column(key_head: u32, tile: u32, four: u32, column: u32) -> vec4<f32> {
  var value = vec4<f32>(0.0);
  for (var i = 0u; i < 4u; i++) {
    let row = row_of(key_head, tile, four * 4u + i);
    if (row.valid) {
      value[i] = q[row.token * params.q_stride + row.head * HEAD_DIM + column];
    }
  }
  return value;
}

fn end_seen(token: u32) -> u32 {
  let end = batch.past + min(token + 1u + params.ahead, params.n);
  if (BLOCKS == 1u) {
    return max(end, blocks[token].y);
  }
  return end;
}

// The positions that four rows see: from `low` until before `high`.
struct Range4 {
  low: vec4<u32>,
  high: vec4<u32>,
}

fn seen_by(key_head: u32, tile: u32, four: u32) -> Range4 {
  var seen = Range4(vec4<u32>(0u), vec4<u32>(0u));
  for (var i = 0u; i < 4u; i++) {
    let row = row_of(key_head, tile, four * 4u + i);
    if (row.valid) {
      seen.low[i] = first_seen(row.token);
      seen.high[i] = end_seen(row.token);
    }
  }
  return seen;
}

struct Eight {
  v0: vec4<f32>,
  v1: vec4<f32>,
}

// Columns 8 * part ... of the key in a slot of the cache.
fn load_key(slot: u32, part: u32) -> Eight {
  if (F16 == 1u) {
    let k = keys[slot * (HEAD_DIM / 8u) + part];
    return Eight(
      vec4<f32>(unpack2x16float(k.x), unpack2x16float(k.y)),
      vec4<f32>(unpack2x16float(k.z), unpack2x16float(k.w)),
    );
  }
  let i = slot * (HEAD_DIM / 4u) + part * 2u;
  return Eight(bitcast<vec4<f32>>(keys[i]), bitcast<vec4<f32>>(keys[i + 1u]));
}

// Columns 4 * quad ... of the value in a slot of the cache.
fn load_value(slot: u32, quad: u32) -> vec4<f32> {
  if (F16 == 1u) {
    let v = values[slot * (HEAD_DIM / 4u) + quad];
    return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
  }
  let i = (slot * (HEAD_DIM / 4u) + quad) * 2u;
  return vec4<f32>(bitcast<vec2<f32>>(values[i]), bitcast<vec2<f32>>(values[i + 1u]));
}

// Eight columns of a key times those of four rows.
fn score(k: Eight, part: u32, four: u32) -> vec4<f32> {
  let c = part * 8u;
  return k.v0.x * queries[query_place(c, four)] + k.v0.y * queries[query_place(c + 1u, four)] +
    k.v0.z * queries[query_place(c + 2u, four)] + k.v0.w * queries[query_place(c + 3u, four)] +
    k.v1.x * queries[query_place(c + 4u, four)] + k.v1.y * queries[query_place(c + 5u, four)] +
    k.v1.z * queries[query_place(c + 6u, four)] + k.v1.w * queries[query_place(c + 7u, four)];
}

fn part_place(four: u32, position: u32, part: u32) -> u32 {
  return four * LANES + part * TILE + ((position + 2u * part) & 31u);
}

// Slot of the position `p` behind that in slot `first`, of a ring.
fn slot_of(head_slot: u32, first: u32, p: u32) -> u32 {
  let slot = first + p;
  return head_slot + select(slot, slot - params.capacity, slot >= params.capacity);
}

fn softcap4(x: vec4<f32>, cap: f32) -> vec4<f32> {
  return vec4<f32>(softcap(x.x, cap), softcap(x.y, cap), softcap(x.z, cap), softcap(x.w, cap));
}

@compute @workgroup_size(128)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let key_head = group.x;
  let tile = group.y;
  let head_slot = key_head * params.capacity;
  for (var i = lane; i < fours() * HEAD_DIM; i += LANES) {
    let four = i / HEAD_DIM;
    queries[query_place(i % HEAD_DIM, four)] = query_column(key_head, tile, four, i % HEAD_DIM);
  }

  let heads = params.n_head / params.n_head_kv;
  let first = first_seen(tile * QUERIES / heads);
  let last_row = min(tile * QUERIES + QUERIES, params.n * heads) - 1u;
  let segment = (first / params.segment + group.z) * params.segment;
  let end = end_seen(last_row / heads);
  let begin = select(first, max(first, segment), SPLIT == 1u);
  let stop = select(end, min(end, segment + params.segment), SPLIT == 1u);

  // Of the lanes that have a position's weights for four rows.
  let weighing = lane < fours() * TILE;
  let four = lane / TILE;
  let range = seen_by(key_head, tile, four);
  var maximum = vec4<f32>(MASKED);
  var sum = vec4<f32>(0.0);
  // Of the lanes that have columns of values: every STEPS-th position.
  let quads = HEAD_DIM / 4u;
  let steps = select(select(select(1u, 2u, quads <= 64u), 4u, quads <= 32u), 8u, quads <= 16u);
  let step = lane / quads;
  let quad = lane % quads;
  var o0 = vec4<f32>(0.0);
  var o1 = vec4<f32>(0.0);
  var o2 = vec4<f32>(0.0);
  var o3 = vec4<f32>(0.0);
  var o4 = vec4<f32>(0.0);
  var o5 = vec4<f32>(0.0);
  var o6 = vec4<f32>(0.0);
  var o7 = vec4<f32>(0.0);

  workgroupBarrier();
  for (var start = begin; start < stop; start += TILE) {
    let count = min(TILE, stop - start);
    let first_slot = start % params.capacity;

    let p = lane / 4u;
    var s0 = vec4<f32>(0.0);
    var s1 = vec4<f32>(0.0);
    if (p < count) {
      let slot = slot_of(head_slot, first_slot, p);
      for (var part = lane % 4u; part < HEAD_DIM / 8u; part += 4u) {
        let k = load_key(slot, part);
        s0 += score(k, part, 0u);
        if (QUERIES > 4u) {
          s1 += score(k, part, 1u);
        }
      }
    }
    parts[part_place(0u, p, lane % 4u)] = s0;
    if (QUERIES > 4u) {
      parts[part_place(1u, p, lane % 4u)] = s1;
    }
    workgroupBarrier();

    var mine = vec4<f32>(0.0);
    var seen = vec4<bool>(false);
    if (weighing) {
      let i = lane % TILE;
      mine = parts[part_place(four, i, 0u)] + parts[part_place(four, i, 1u)] + parts[part_place(four, i, 2u)] +
        parts[part_place(four, i, 3u)];
      if (params.softcap > 0.0) {
        mine = softcap4(mine, params.softcap);
      }
      let position = vec4<u32>(start + i);
      seen = (position >= range.low) & (position < range.high) & vec4<bool>(i < count);
      mine = select(vec4<f32>(MASKED), mine, seen);
      scores[lane] = mine;
    }
    workgroupBarrier();

    if (weighing) {
      var highest = maximum;
      for (var i = 0u; i < TILE; i++) {
        highest = max(highest, scores[four * TILE + i]);
      }
      let weight = select(vec4<f32>(0.0), exp(mine - highest), seen);
      let shrink = exp(maximum - highest);
      maximum = highest;
      sum = sum * shrink + weight;
      weights[lane] = weight;
      if (lane % TILE == 0u) {
        shrinks[four] = shrink;
      }
    }
    workgroupBarrier();

    if (step < steps) {
      o0 *= shrinks[0].x;
      o1 *= shrinks[0].y;
      o2 *= shrinks[0].z;
      o3 *= shrinks[0].w;
      if (QUERIES > 4u) {
        o4 *= shrinks[1].x;
        o5 *= shrinks[1].y;
        o6 *= shrinks[1].z;
        o7 *= shrinks[1].w;
      }
      // Four loads under way at once; beyond `count` the weights are zero.
      for (var i = step; i < count; i += 4u * steps) {
        let v0 = load_value(slot_of(head_slot, first_slot, i), quad);
        let v1 = load_value(slot_of(head_slot, first_slot, i + steps), quad);
        let v2 = load_value(slot_of(head_slot, first_slot, i + 2u * steps), quad);
        let v3 = load_value(slot_of(head_slot, first_slot, i + 3u * steps), quad);
        let w0 = weights[i];
        let w1 = weights[i + steps];
        let w2 = weights[i + 2u * steps];
        let w3 = weights[i + 3u * steps];
        o0 += w0.x * v0 + w1.x * v1 + w2.x * v2 + w3.x * v3;
        o1 += w0.y * v0 + w1.y * v1 + w2.y * v2 + w3.y * v3;
        o2 += w0.z * v0 + w1.z * v1 + w2.z * v2 + w3.z * v3;
        o3 += w0.w * v0 + w1.w * v1 + w2.w * v2 + w3.w * v3;
        if (QUERIES > 4u) {
          let u0 = weights[TILE + i];
          let u1 = weights[TILE + i + steps];
          let u2 = weights[TILE + i + 2u * steps];
          let u3 = weights[TILE + i + 3u * steps];
          o4 += u0.x * v0 + u1.x * v1 + u2.x * v2 + u3.x * v3;
          o5 += u0.y * v0 + u1.y * v1 + u2.y * v2 + u3.y * v3;
          o6 += u0.z * v0 + u1.z * v1 + u2.z * v2 + u3.z * v3;
          o7 += u0.w * v0 + u1.w * v1 + u2.w * v2 + u3.w * v3;
        }
      }
    }
  }

  if (weighing) {
    scores[lane] = sum;
    if (lane % TILE == 0u) {
      maxima[four] = maximum;
    }
  }
  finish(group, groups.z, 0u, o0, o4, lane, step < steps);
  finish(group, groups.z, 1u, o1, o5, lane, step < steps);
  finish(group, groups.z, 2u, o2, o6, lane, step < steps);
  finish(group, groups.z, 3u, o3, o7, lane, step < steps);
}

// Adds up what the lanes hold of query i of each four, and writes it.
fn finish(group: vec3<u32>, segments: u32, i: u32, a: vec4<f32>, b: vec4<f32>, lane: u32, working: bool) {
  let quads = HEAD_DIM / 4u;
  workgroupBarrier(); // the query before this one has been used
  parts[lane] = select(vec4<f32>(0.0), a, working);
  if (QUERIES > 4u) {
    parts[LANES + lane] = select(vec4<f32>(0.0), b, working);
  }
  workgroupBarrier();
  let four = lane / quads;
  let row = row_of(group.x, group.y, four * 4u + i);
  if (four >= fours() || !row.valid) {
    return;
  }
  var total = vec4<f32>(0.0);
  for (var j = lane % quads; j < LANES; j += quads) {
    total += parts[four * LANES + j];
  }
  var sum = 0.0;
  for (var j = 0u; j < TILE; j++) {
    sum += scores[four * TILE + j][i];
  }
  let quad = lane % quads;
  if (SPLIT == 0u) {
    out[(row.token * params.out_stride + row.head * HEAD_DIM) / 4u + quad] = total / sum;
    return;
  }
  let at = ((row.token * params.n_head + row.head) * segments + group.z) * (HEAD_DIM + 2u);
  partials[at + quad * 4u] = total.x;
  partials[at + quad * 4u + 1u] = total.y;
  partials[at + quad * 4u + 2u] = total.z;
  partials[at + quad * 4u + 3u] = total.w;
  if (quad == 0u) {
    partials[at + HEAD_DIM] = maxima[four][i];
    partials[at + HEAD_DIM + 1u] = sum;
  }
}
