// pick.wgsl: truncates what topk.wgsl has found and draws a token. CPU: Sampler::sample. One workgroup.
// The order is the CPU's: top-k, top-p, min-p, temperature.
struct Params {
  token: u32, // which of ids becomes the token
}
struct Sampling {
  temperature: f32, // 0: the first
  top_p: f32,
  min_p: f32,
  random: f32,      // in [0, 1)
  top_k: u32,       // 1 to 128
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> sampling: Sampling;
@group(0) @binding(2) var<storage, read> best: array<vec2<u32>>; // key and id, 128; then how many are not finite
@group(0) @binding(3) var<storage, read_write> ids: array<i32>;
// Token (-1: none can be chosen), candidates, logits that are not finite, candidates left by the truncation.
@group(0) @binding(4) var<storage, read_write> result: array<u32>;

const K = 128u;

var<workgroup> weights: array<f32, 128>; // relative to the first
var<workgroup> heated: array<f32, 128>;  // the same, with temperature

fn logit_of(key: u32) -> f32 {
  return bitcast<f32>(key ^ select(0xffffffffu, 0x80000000u, (key & 0x80000000u) != 0u));
}

@compute @workgroup_size(128)
fn main(@builtin(local_invocation_index) lane: u32) {
  let mine = best[lane];
  let below = select(-100.0, logit_of(mine.x) - logit_of(best[0].x), mine.x != 0u);
  weights[lane] = exp(max(below, -100.0));
  heated[lane] = exp(max(below / max(sampling.temperature, 1e-6), -100.0));
  workgroupBarrier();
  if (lane != 0u) {
    return;
  }

  var count = 0u;
  while (count < K && best[count].x != 0u) {
    count++;
  }
  var keep = min(count, select(sampling.top_k, 1u, sampling.temperature == 0.0));
  if (sampling.top_p < 1.0) {
    var total = 0.0;
    for (var i = 0u; i < keep; i++) {
      total += weights[i];
    }
    var mass = 0.0;
    for (var i = 0u; i < keep; i++) {
      if (i > 0u && mass >= sampling.top_p * total) {
        keep = i;
      } else {
        mass += weights[i];
      }
    }
  }
  while (keep > 1u && weights[keep - 1u] < sampling.min_p) {
    keep--;
  }
  var total = 0.0;
  for (var i = 0u; i < keep; i++) {
    total += heated[i];
  }
  var left = sampling.random * total;
  var drawn = 0u;
  while (drawn + 1u < keep && left >= heated[drawn]) {
    left -= heated[drawn];
    drawn++;
  }
  let token = select(0xffffffffu, best[drawn].y, count > 0u);
  ids[params.token] = select(0, i32(token), count > 0u);
  result[0] = token;
  result[1] = count;
  result[2] = best[K].x;
  result[3] = keep;
}
