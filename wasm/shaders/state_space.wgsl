// state_space.wgsl: the state space of Mamba-2 over time. CPU: Ops::state_space, whose gated norm is
// gated_rmsnorm.wgsl. A lane keeps 16 numbers of one column of a head's state to itself, and 8 lanes have the column,
// so that time passes without the memory. Workgroups: n_head x ceil(head_dim / 16).
//:include activation

struct Params {
  head_dim: u32,
  n_state: u32,   // rows of a head's state, a multiple of 4 and at most 128
  in_group: u32,  // heads
  write: u32,     // columns of convolved: of what writes and what reads, (n_group, n_state) each
  read: u32,
  steps: u32,     // column of input, (n_head)
  in_stride: u32, // floats
  convolved_stride: u32,
  out_stride: u32,
  n: u32,         // tokens
  step_bias: u32, // in vectors, (n_head)
  rate: u32,      // in vectors, (n_head)
  skip: u32,      // in vectors, (n_head)
  at: u32,        // in memory, (n_head, n_state, head_dim)
}
struct Batch {
  past: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> batch: Batch;
@group(0) @binding(2) var<storage, read> vectors: array<f32>;
@group(0) @binding(3) var<storage, read> input: array<f32>;
@group(0) @binding(4) var<storage, read> convolved: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> memory: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

var<workgroup> gates: array<vec2<f32>, 128>; // of the next tokens: their step, and what is left of a state behind it
var<workgroup> parts: array<f32, 256>;       // of two tokens, so that one barrier parts them

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let head = group.x;
  let column = group.y * 16u + lane % 16u;
  let is_column = column < params.head_dim;
  let first = lane / 16u * 16u; // of the state
  let own = params.at + head * params.n_state * params.head_dim + column;
  let x_at = head * params.head_dim + column;
  let shared_at = head / params.in_group * params.n_state + first;
  let skip = vectors[params.skip + head];
  var state: array<vec4<f32>, 4>;
  for (var i = 0u; i < 16u; i++) {
    if (is_column && first + i < params.n_state && batch.past != 0u) {
      state[i / 4u][i % 4u] = memory[own + (first + i) * params.head_dim];
    }
  }
  for (var from_token = 0u; from_token < params.n; from_token += 128u) {
    workgroupBarrier(); // those before have been read
    if (from_token + lane < params.n) {
      let at = (from_token + lane) * params.in_stride + params.steps + head;
      let step = softplus(input[at] + vectors[params.step_bias + head]);
      gates[lane] = vec2<f32>(step, exp(vectors[params.rate + head] * step));
    }
    workgroupBarrier();
    for (var t = from_token; t < min(from_token + 128u, params.n); t++) {
      let row = t * params.convolved_stride;
      var x = 0.0;
      if (is_column) {
        x = convolved[(row + x_at) / 4u][(row + x_at) % 4u];
      }
      let gate = gates[t - from_token];
      let write = (row + params.write + shared_at) / 4u;
      let read = (row + params.read + shared_at) / 4u;
      var sum = 0.0;
      for (var i = 0u; i < 4u; i++) {
        if (first + 4u * i < params.n_state) {
          state[i] = state[i] * gate.y + convolved[write + i] * (gate.x * x);
          sum += dot(state[i], convolved[read + i]);
        }
      }
      let side = t % 2u * 128u;
      parts[side + lane] = sum;
      workgroupBarrier();
      if (lane < 16u && is_column) {
        var y = skip * x;
        for (var i = lane; i < 128u; i += 16u) {
          y += parts[side + i];
        }
        out[t * params.out_stride + x_at] = y;
      }
    }
  }
  for (var i = 0u; i < 16u; i++) {
    if (is_column && first + i < params.n_state) {
      memory[own + (first + i) * params.head_dim] = state[i / 4u][i % 4u];
    }
  }
}
