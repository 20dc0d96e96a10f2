// gate.wgsl: x *= sigmoid(gate). CPU: Ops::gate. One lane a column. Workgroups: ceil(width / 64), n.

struct Params {
  width: u32,
  stride: u32, // floats
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gate: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let column = group.x * 64u + lane;
  if (column >= params.width) {
    return;
  }
  let at = group.y * params.stride + column;
  x[at] /= 1.0 + exp(-max(gate[at], -80.0));
}
