// combine.wgsl: y = x + factor y, x again and again where it is shorter. CPU: Ops::copy, Ops::difference, Ops::add_row.
// A lane has a quad.

struct Params {
  n: u32,      // quads of y
  period: u32, // quads of x
  factor: f32, // at 0 y may hold anything
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) lane: u32) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= params.n) {
    return;
  }
  var sum = x[i % params.period];
  if (params.factor != 0.0) {
    sum += params.factor * y[i];
  }
  y[i] = sum;
}
