// gated_rmsnorm.wgsl: x = x silu(gate) / rms * weight, of each group of columns by itself, or with the gate behind the
// norm. CPU: in Ops::state_space and Ops::delta_rule. One workgroup a group of a token. Workgroups: groups x tokens.
//:include sum256

struct Params {
  width: u32,       // of a group, a multiple of 4
  gate_stride: u32, // floats between rows
  stride: u32,      // of x
  weight: u32,      // in vectors, (width)
  weight_step: u32, // to the next group's: the width, or 0 where all have one
  behind: u32,      // 1: the gate comes behind the norm
  epsilon: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gate: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;

fn opened(gate: vec4<f32>) -> vec4<f32> {
  return gate / (1.0 + exp(-max(gate, vec4<f32>(-80.0))));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let quads = params.width / 4u;
  let first = group.x * quads;
  let row = group.y * params.stride / 4u + first;
  let gate_row = group.y * params.gate_stride / 4u + first;
  var squares = 0.0;
  for (var i = lane; i < quads; i += 256u) {
    if (params.behind == 0u) {
      x[row + i] *= opened(gate[gate_row + i]);
    }
    squares += dot(x[row + i], x[row + i]);
  }
  let factor = inverseSqrt(sum256(squares, lane) / f32(params.width) + params.epsilon);
  for (var i = lane; i < quads; i += 256u) {
    x[row + i] *= factor * vectors[(params.weight + group.x * params.weight_step) / 4u + i];
    if (params.behind == 1u) {
      x[row + i] *= opened(gate[gate_row + i]);
    }
  }
}
