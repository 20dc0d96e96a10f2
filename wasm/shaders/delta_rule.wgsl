// delta_rule.wgsl: a gated delta rule over time. CPU: Ops::delta_rule, whose gated norm is gated_rmsnorm.wgsl. A lane
// keeps 16 numbers of one column of a head's state to itself, and 8 lanes have the column, so that time passes without
// the memory. Workgroups: n_head x ceil(width / 16).
//:include activation

struct Params {
  n_head_k: u32,
  width: u32,       // of each head, a multiple of 4 and at most 128
  qkv_stride: u32,  // floats
  heads_stride: u32, // of strength and decay
  out_stride: u32,
  n: u32,           // tokens
  decay_bias: u32,  // in vectors, (n_head)
  rate: u32,        // in vectors, (n_head)
  at: u32,          // in memory, (n_head, width of keys, width of values)
}
struct Batch {
  past: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> batch: Batch;
@group(0) @binding(2) var<storage, read> vectors: array<f32>;
@group(0) @binding(3) var<storage, read> qkv: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> strength: array<f32>;
@group(0) @binding(5) var<storage, read> decay: array<f32>;
@group(0) @binding(6) var<storage, read_write> memory: array<f32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;

struct Token {
  left: f32,  // of a state behind it
  strength: f32,
  key: f32,   // that make its key and its query as long as they should be
  query: f32,
}
var<workgroup> tokens: array<Token, 128>; // the next ones
var<workgroup> had: array<f32, 128>;
var<workgroup> answers: array<f32, 128>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let head = group.x;
  let width = params.width;
  let column = group.y * 16u + lane % 16u;
  let is_column = column < width;
  let first = lane / 16u * 16u; // of the state's rows
  let own = params.at + head * width * width + column;
  let query_at = head % params.n_head_k * width;
  let key_at = query_at + params.n_head_k * width;
  let value_at = 2u * params.n_head_k * width + head * width + column;
  var state: array<vec4<f32>, 4>;
  for (var i = 0u; i < 16u; i++) {
    if (is_column && first + i < width && batch.past != 0u) {
      state[i / 4u][i % 4u] = memory[own + (first + i) * width];
    }
  }
  for (var from_token = 0u; from_token < params.n; from_token += 128u) {
    workgroupBarrier(); // those before have been read
    let next = from_token + lane;
    if (next < params.n) {
      var keys = 0.0;
      var queries = 0.0;
      let row = next * params.qkv_stride;
      for (var i = 0u; i < width; i += 4u) {
        let key = qkv[(row + key_at + i) / 4u];
        let query = qkv[(row + query_at + i) / 4u];
        keys += dot(key, key);
        queries += dot(query, query);
      }
      let at = next * params.heads_stride + head;
      tokens[lane] = Token(
        exp(vectors[params.rate + head] * softplus(decay[at] + vectors[params.decay_bias + head])),
        1.0 / (1.0 + exp(-max(strength[at], -80.0))),
        inverseSqrt(keys + 1e-6),
        inverseSqrt(queries + 1e-6) * inverseSqrt(f32(width)),
      );
    }
    workgroupBarrier();
    for (var t = from_token; t < min(from_token + 128u, params.n); t++) {
      let row = t * params.qkv_stride;
      let token = tokens[t - from_token];
      let key = (row + key_at + first) / 4u;
      let query = (row + query_at + first) / 4u;
      var sum = 0.0;
      for (var i = 0u; i < 4u; i++) {
        if (first + 4u * i < width) {
          sum += dot(state[i], qkv[key + i]);
        }
      }
      had[lane] = sum;
      workgroupBarrier();
      var value = 0.0;
      if (is_column) {
        value = qkv[(row + value_at) / 4u][(row + value_at) % 4u];
      }
      sum = 0.0;
      for (var i = lane % 16u; i < 128u; i += 16u) {
        sum += had[i];
      }
      let change = token.strength * (value - token.left * sum * token.key) * token.key;
      sum = 0.0;
      for (var i = 0u; i < 4u; i++) {
        if (first + 4u * i < width) {
          state[i] = state[i] * token.left + qkv[key + i] * change;
          sum += dot(state[i], qkv[query + i]);
        }
      }
      answers[lane] = sum;
      workgroupBarrier();
      if (lane < 16u && is_column) {
        var answer = 0.0;
        for (var i = lane; i < 128u; i += 16u) {
          answer += answers[i];
        }
        out[t * params.out_stride + head * width + column] = answer * token.query;
      }
    }
  }
  for (var i = 0u; i < 16u; i++) {
    if (is_column && first + i < width) {
      memory[own + (first + i) * width] = state[i / 4u][i % 4u];
    }
  }
}
