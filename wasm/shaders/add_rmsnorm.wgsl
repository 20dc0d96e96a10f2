// add_rmsnorm.wgsl: x = (x + y / rms(y) * weight) * factor. CPU: Ops::add_rmsnorm, and Ops::add_rmsnorm_slices, whose
// slices are rows here. One workgroup a row, over x and y of the grid.
//:include sum256

struct Params {
  n: u32,      // rows
  width: u32,
  stride: u32, // floats between rows, of x and y
  weight: u32, // in vectors
  epsilon: f32,
  factor: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> x: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  if (group.x + group.y * groups.x >= params.n) {
    return;
  }
  let row = (group.x + group.y * groups.x) * params.stride / 4u;
  let quads = (params.width + 3u) / 4u;
  var squares = 0.0;
  for (var i = lane; i < quads; i += 256u) {
    squares += dot(y[row + i], y[row + i]);
  }
  let factor = inverseSqrt(sum256(squares, lane) / f32(params.width) + params.epsilon);
  for (var i = lane; i < quads; i += 256u) {
    x[row + i] = (x[row + i] + y[row + i] * factor * vectors[params.weight / 4u + i]) * params.factor;
  }
}
