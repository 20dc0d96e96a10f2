// convolve.wgsl: a causal convolution over time, of each channel with taps of its own, alone or with what is around it. CPU:
// Ops::convolve. One lane a channel. Workgroups: ceil(width / 64).
//:include activation

struct Params {
  width: u32,
  x_stride: u32, // floats
  out_stride: u32,
  n: u32,        // tokens
  n_taps: u32,   // 2 to 8
  taps: u32,     // in vectors, (width, n_taps)
  bias: u32,     // in vectors, or 0xffffffff
  first: u32,    // column of x from which on it is convolved
  at: u32,       // in memory, (n_taps - 1, width), the oldest first
  // 0: nothing. 1: rows begin with a gate before and a gate behind, each of the width. 2: silu behind.
  around: u32,
}
struct Batch {
  past: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> batch: Batch;
@group(0) @binding(2) var<storage, read> vectors: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read_write> memory: array<f32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let channel = id.x;
  if (channel >= params.width) {
    return;
  }
  let before = params.n_taps - 1u;
  var inputs: array<f32, 8>;
  for (var j = 0u; j < before; j++) {
    inputs[j] = select(memory[params.at + j * params.width + channel], 0.0, batch.past == 0u);
  }
  var bias = 0.0;
  if (params.bias != 0xffffffffu) {
    bias = vectors[params.bias + channel];
  }
  let taps = params.taps + channel * params.n_taps;
  for (var t = 0u; t < params.n; t++) {
    let at = t * params.x_stride + channel;
    var gate = 1.0;
    inputs[before] = x[at + params.first];
    if (params.around == 1u) {
      inputs[before] *= x[at];
      gate = x[at + params.width];
    }
    var sum = bias;
    for (var j = 0u; j <= before; j++) {
      sum += vectors[taps + j] * inputs[j];
    }
    for (var j = 0u; j < before; j++) {
      inputs[j] = inputs[j + 1u];
    }
    if (params.around == 2u) {
      sum = silu(sum);
    }
    out[t * params.out_stride + channel] = sum * gate;
  }
  for (var j = 0u; j < before; j++) {
    memory[params.at + j * params.width + channel] = inputs[j];
  }
}
