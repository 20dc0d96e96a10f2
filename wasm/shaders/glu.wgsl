// glu.wgsl: gate = act(gate) * up, where the two products could not be one dispatch, or where the other factor is no
// product but columns of other rows (Ops::gate). CPU: silu_multiply, gelu_multiply. One invocation four elements of (n, stride): the padding is zero and stays zero. Workgroups: ceil(n / 256), over x
// and y of the grid.
//:include activation

override GELU: u32 = 0; // 1: gelu (tanh form), else silu

struct Params {
  n: u32,          // floats in all
  quads: u32,      // of a row of gate
  up_quads: u32,   // of a row of up
  up_first: u32,   // and the one that meets a row's first
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> up: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> gate: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.x + group.y * groups.x) * 64u + lane;
  if (i >= params.n / 4u) {
    return;
  }
  let g = gate[i];
  let u = up[i / params.quads * params.up_quads + params.up_first + i % params.quads];
  if (GELU == 1u) {
    gate[i] = vec4<f32>(gelu(g.x), gelu(g.y), gelu(g.z), gelu(g.w)) * u;
  } else {
    gate[i] = vec4<f32>(silu(g.x), silu(g.y), silu(g.z), silu(g.w)) * u;
  }
}
