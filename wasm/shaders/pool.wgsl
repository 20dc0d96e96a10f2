// pool.wgsl: row 0 of out = the mean of `count` rows of x from `first` on. CPU: Ops::pool. A lane has four columns.

struct Params {
  stride: u32, // floats between rows of x
  quads: u32,  // vectors of a row
  first: u32,
  count: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.quads) {
    return;
  }
  var sum = vec4<f32>(0.0);
  for (var i = 0u; i < params.count; i++) {
    sum += x[(params.first + i) * params.stride / 4u + id.x];
  }
  out[id.x] = sum / f32(params.count);
}
