// part_heads.wgsl: each head of x has two halves, a head of `first` and one of `second`. CPU: Ops::part_heads. One lane
// a column of either. Workgroups: ceil(width / 64), n.

struct Params {
  width: u32,    // of first and of second
  head_dim: u32,
  x_stride: u32, // floats
  stride: u32,   // of first and of second
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> first: array<f32>;
@group(0) @binding(3) var<storage, read_write> second: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let column = group.x * 64u + lane;
  if (column >= params.width) {
    return;
  }
  let at = group.y * params.x_stride + column + column / params.head_dim * params.head_dim;
  first[group.y * params.stride + column] = x[at];
  second[group.y * params.stride + column] = x[at + params.head_dim];
}
