// topk.wgsl: the 128 largest logits of a slice, largest first, of equal ones the lower id. CPU: top_k().
// First many workgroups, a slice of the logits each; then, with FIRST 0, one over what they found.
// A logit is ordered as an integer (its key), together with its id, so that no two are equal. The 128th largest is found
// by its digits of 8 bits, from the top: a histogram of those that agree so far tells the next digit (radix select).
// Numbers that are not finite, and -1e30 or less, have the key 0 and are never chosen.
override FIRST: u32 = 1;

struct Params {
  first: u32, // the row of logits, in floats
  n: u32,     // logits; with FIRST 0 the slices found
  slice: u32, // logits of a workgroup
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
// (slices, 129): key and id of each; the last has the number of logits that are not finite.
@group(0) @binding(2) var<storage, read> found: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> best: array<vec2<u32>>;

const K = 128u;

var<workgroup> bins: array<atomic<u32>, 256>;
var<workgroup> sixteens: array<u32, 16>; // sums of 16 bins
var<workgroup> chosen: array<vec2<u32>, 128>;
var<workgroup> n_chosen: atomic<u32>;
var<workgroup> n_bad: atomic<u32>;
// What is known of the 128th largest: its leading bits, how many are wanted of those that have them, how many there are.
var<workgroup> threshold: vec2<u32>;
var<workgroup> wanted: u32;
var<workgroup> there: u32;

fn is_finite(bits: u32) -> bool {
  return (bits & 0x7f800000u) != 0x7f800000u;
}

fn key_of(logit: f32) -> u32 {
  let bits = bitcast<u32>(logit);
  if (!is_finite(bits) || logit <= -1e30) {
    return 0u;
  }
  if (bits == 0x80000000u) { // -0 equals 0
    return bits;
  }
  return bits ^ select(0x80000000u, 0xffffffffu, (bits & 0x80000000u) != 0u);
}

// Key and complemented id of element i of this workgroup's, so that the larger of each comes first.
fn element(slice: u32, i: u32) -> vec2<u32> {
  if (FIRST == 1u) {
    let id = slice * params.slice + i;
    return vec2<u32>(key_of(logits[params.first + id]), ~id);
  }
  let pair = found[i / K * (K + 1u) + i % K];
  return vec2<u32>(pair.x, ~pair.y);
}

// Digit d of the eight, and those above it.
fn digit(e: vec2<u32>, d: u32) -> u32 {
  return (select(e.y, e.x, d < 4u) >> (24u - 8u * (d % 4u))) & 255u;
}

fn agrees(e: vec2<u32>, d: u32) -> bool {
  let shift = 24u - 8u * (d % 4u);
  if (d < 4u) {
    return ((e.x ^ threshold.x) >> shift) >> 8u == 0u;
  }
  return e.x == threshold.x && ((e.y ^ threshold.y) >> shift) >> 8u == 0u;
}

fn comes_before(a: vec2<u32>, b: vec2<u32>) -> bool {
  return a.x > b.x || (a.x == b.x && a.y > b.y);
}

// Sets digit d of the threshold.
fn choose_digit(slice: u32, count: u32, d: u32, lane: u32) {
  atomicStore(&bins[lane], 0u);
  workgroupBarrier();
  for (var i = lane; i < count; i += 256u) {
    let e = element(slice, i);
    if (e.x != 0u && agrees(e, d)) {
      atomicAdd(&bins[digit(e, d)], 1u);
    }
  }
  workgroupBarrier();
  if (lane < 16u) {
    var sum = 0u;
    for (var bin = lane * 16u; bin < lane * 16u + 16u; bin++) {
      sum += atomicLoad(&bins[bin]);
    }
    sixteens[lane] = sum;
  }
  workgroupBarrier();
  var above = 0u;
  for (var group = lane / 16u + 1u; group < 16u; group++) {
    above += sixteens[group];
  }
  for (var bin = lane + 1u; bin % 16u != 0u; bin++) {
    above += atomicLoad(&bins[bin]);
  }
  let own = atomicLoad(&bins[lane]);
  let left = wanted;
  workgroupBarrier();
  if (above < left && left <= above + own) {
    wanted = left - above;
    there = own;
    let bits = lane << (24u - 8u * (d % 4u));
    threshold |= select(vec2<u32>(0u, bits), vec2<u32>(bits, 0u), d < 4u);
  }
  if (d == 0u && lane == 0u && above + own < left) { // all are wanted
    there = left;
  }
  workgroupBarrier();
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let slice = group.x;
  let count = select(params.n * K, min(params.slice, params.n - slice * params.slice), FIRST == 1u);
  if (lane == 0u) {
    threshold = vec2<u32>(0u);
    wanted = K;
    there = 0u;
    atomicStore(&n_chosen, 0u);
    atomicStore(&n_bad, 0u);
  }
  if (lane < K) {
    chosen[lane] = vec2<u32>(0u);
  }
  workgroupBarrier();

  // The id's digits matter only where more have the key than are wanted.
  for (var d = 0u; d < 8u; d++) {
    let more = workgroupUniformLoad(&there) != workgroupUniformLoad(&wanted);
    let all = workgroupUniformLoad(&threshold).x == 0u; // there are no more than are wanted
    if ((d == 4u && !more) || (d == 1u && all)) {
      break;
    }
    choose_digit(slice, count, d, lane);
  }

  for (var i = lane; i < count; i += 256u) {
    let e = element(slice, i);
    if (e.x != 0u && !comes_before(threshold, e)) {
      chosen[atomicAdd(&n_chosen, 1u)] = e;
    }
    if (FIRST == 1u && !is_finite(bitcast<u32>(logits[params.first + slice * params.slice + i]))) {
      atomicAdd(&n_bad, 1u);
    }
  }
  if (FIRST == 0u && lane == 0u) {
    for (var i = 0u; i < params.n; i++) {
      atomicAdd(&n_bad, found[i * (K + 1u) + K].x);
    }
  }
  workgroupBarrier();

  // Bitonic sort.
  for (var size = 2u; size <= K; size *= 2u) {
    for (var step = size / 2u; step > 0u; step /= 2u) {
      let i = lane / step * 2u * step + lane % step;
      if (lane < K / 2u) {
        let a = chosen[i];
        let b = chosen[i + step];
        if (comes_before(b, a) == ((i & size) == 0u)) {
          chosen[i] = b;
          chosen[i + step] = a;
        }
      }
      workgroupBarrier();
    }
  }
  if (lane < K) {
    best[slice * (K + 1u) + lane] = vec2<u32>(chosen[lane].x, ~chosen[lane].y);
  }
  if (lane == 0u) {
    best[slice * (K + 1u) + K] = vec2<u32>(atomicLoad(&n_bad), 0u);
  }
}
