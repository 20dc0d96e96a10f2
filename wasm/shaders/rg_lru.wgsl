// rg_lru.wgsl: a gated linear recurrence over time and the gate behind it, in place. CPU: Ops::rg_lru. One lane a
// channel. Workgroups: ceil(width / 64).
//:include activation

struct Params {
  width: u32,
  stride: u32, // floats, of x and of all gates
  n: u32,      // tokens
  decay: u32,  // in vectors
  at: u32,     // in memory
}
struct Batch {
  past: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> batch: Batch;
@group(0) @binding(2) var<storage, read> vectors: array<f32>;
@group(0) @binding(3) var<storage, read> input: array<f32>;
@group(0) @binding(4) var<storage, read> recurrence: array<f32>;
@group(0) @binding(5) var<storage, read> gate: array<f32>;
@group(0) @binding(6) var<storage, read_write> memory: array<f32>;
@group(0) @binding(7) var<storage, read_write> x: array<f32>;

fn sigmoid(v: f32) -> f32 {
  return 1.0 / (1.0 + exp(-max(v, -80.0)));
}

// 1 - exp(v) of v <= 0, also where exp(v) is next to 1.
fn one_less_exp(v: f32) -> f32 {
  if (v < -0.125) {
    return 1.0 - exp(v);
  }
  return -v * (1.0 + v / 2.0 * (1.0 + v / 3.0 * (1.0 + v / 4.0 * (1.0 + v / 5.0))));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let channel = id.x;
  if (channel >= params.width) {
    return;
  }
  let decay = vectors[params.decay + channel];
  var h = memory[params.at + channel];
  for (var t = 0u; t < params.n; t++) {
    let i = t * params.stride + channel;
    var next = x[i] * sigmoid(input[i]);
    if (batch.past + t != 0u) {
      let log_a = sigmoid(recurrence[i]) * decay;
      next = exp(log_a) * h + sqrt(one_less_exp(2.0 * log_a)) * next;
    }
    h = next;
    x[i] = h * gelu(gate[i]);
  }
  memory[params.at + channel] = h;
}
