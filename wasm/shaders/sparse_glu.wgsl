// sparse_glu.wgsl: x = gelu(max(0, x - (mean + cut deviation))) * up, both of x's row. CPU: Ops::sparse_gelu. One
// workgroup a row. Workgroups: n.
//:include activation
//:include sum256

struct Params {
  width: u32,
  stride: u32, // floats
  cut: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> up: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = group.x * params.stride;
  var sum = 0.0;
  for (var i = lane; i < params.width; i += 256u) {
    sum += x[row + i];
  }
  let mean = sum256(sum, lane) / f32(params.width);
  var squares = 0.0;
  for (var i = lane; i < params.width; i += 256u) {
    squares += (x[row + i] - mean) * (x[row + i] - mean);
  }
  workgroupBarrier(); // everybody has read the mean
  let least = mean + params.cut * sqrt(sum256(squares, lane) / f32(params.width));
  for (var i = lane; i < params.width; i += 256u) {
    x[row + i] = gelu(max(x[row + i] - least, 0.0)) * up[row + i];
  }
}
