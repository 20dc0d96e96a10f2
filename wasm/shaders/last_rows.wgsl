// last_rows.wgsl: the last rows of x become its first ones, which they do not overlap. CPU: Ops::keep_last.
// Lanes stride over them.

struct Params {
  n: u32,     // vectors that move
  first: u32, // of them; at least n
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  for (var i = id.x; i < params.n; i += groups.x * 256u) {
    x[i] = x[params.first + i];
  }
}
