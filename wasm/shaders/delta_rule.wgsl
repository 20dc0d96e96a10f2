// delta_rule.wgsl: a gated delta rule over time, and the gated norm behind it. CPU: Ops::delta_rule. One workgroup a
// head, one lane a column of its state. Workgroups: n_head.
//:include activation

struct Params {
  n_head_k: u32,
  n_head: u32,
  width: u32,       // of each head, at most 128
  qkv_stride: u32,  // floats
  heads_stride: u32, // of strength and decay
  values_stride: u32, // of gate and out
  n: u32,           // tokens
  decay_bias: u32,  // in vectors, (n_head)
  rate: u32,        // in vectors, (n_head)
  norm: u32,        // in vectors, (width)
  epsilon: f32,
  at: u32,          // in memory, (n_head, width of keys, width of values)
}
struct Batch {
  past: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> batch: Batch;
@group(0) @binding(2) var<storage, read> vectors: array<f32>;
@group(0) @binding(3) var<storage, read> qkv: array<f32>;
@group(0) @binding(4) var<storage, read> strength: array<f32>;
@group(0) @binding(5) var<storage, read> decay: array<f32>;
@group(0) @binding(6) var<storage, read> gate: array<f32>;
@group(0) @binding(7) var<storage, read_write> memory: array<f32>;
@group(0) @binding(8) var<storage, read_write> out: array<f32>;

var<workgroup> query: array<f32, 128>;
var<workgroup> key: array<f32, 128>;
var<workgroup> squares: array<f32, 128>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let head = group.x;
  let width = params.width;
  let is_column = lane < width;
  let n_key = params.n_head_k * width;
  let first = params.at + head * width * width + lane;
  let bias = vectors[params.decay_bias + head];
  let rate = vectors[params.rate + head];
  for (var t = 0u; t < params.n; t++) {
    let row = t * params.qkv_stride;
    let at = row + head % params.n_head_k * width + lane;
    if (is_column) {
      query[lane] = qkv[at];
      key[lane] = qkv[at + n_key];
    }
    workgroupBarrier();
    let is_first = batch.past + t == 0u;
    let a = exp(rate * softplus(decay[t * params.heads_stride + head] + bias));
    let b = 1.0 / (1.0 + exp(-max(strength[t * params.heads_stride + head], -80.0)));
    var had = 0.0;
    var keys = 0.0;
    var queries = 0.0;
    for (var i = 0u; i < width; i++) {
      keys += key[i] * key[i];
      queries += query[i] * query[i];
      if (is_column && !is_first) {
        had += key[i] * memory[first + i * width];
      }
    }
    let unit = inverseSqrt(keys + 1e-6); // of the key
    var answer = 0.0;
    if (is_column) {
      let value = qkv[row + 2u * n_key + head * width + lane];
      let change = b * (value - a * had * unit) * unit;
      for (var i = 0u; i < width; i++) {
        var s = key[i] * change;
        if (!is_first) {
          s += a * memory[first + i * width];
        }
        memory[first + i * width] = s;
        answer += query[i] * s;
      }
      answer *= inverseSqrt(queries + 1e-6) * inverseSqrt(f32(width));
    }
    squares[lane] = answer * answer;
    workgroupBarrier();
    if (is_column) {
      var sum = 0.0;
      for (var i = 0u; i < width; i++) {
        sum += squares[i];
      }
      let own = t * params.values_stride + head * width + lane;
      let scale = inverseSqrt(sum / f32(width) + params.epsilon) * vectors[params.norm + lane];
      out[own] = answer * scale * silu(gate[own]);
    }
  }
}
