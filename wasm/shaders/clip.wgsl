// clip.wgsl: x = what of it lies between two numbers, else the nearer one. CPU: Ops::clip. One invocation four elements
// of (n, stride). Workgroups: ceil(n / 256), over x and y of the grid.

struct Params {
  n: u32, // floats, a multiple of 4
  low: f32,
  high: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.x + group.y * groups.x) * 64u + lane;
  if (i < params.n / 4u) {
    x[i] = min(max(x[i], vec4<f32>(params.low)), vec4<f32>(params.high));
  }
}
