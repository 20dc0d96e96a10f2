// layernorm.wgsl: x = (x - mean) / deviation * weight + bias. CPU: layernorm(). One workgroup a token. Columns behind
// the width are zeros, and so are their weights and biases.
//:include sum256

struct Params {
  width: u32,
  stride: u32, // floats between rows
  weight: u32, // in vectors
  bias: u32,
  epsilon: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> vectors: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> x: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = group.x * params.stride / 4u;
  let quads = (params.width + 3u) / 4u;
  var sum = 0.0;
  for (var i = lane; i < quads; i += 256u) {
    sum += dot(x[row + i], vec4<f32>(1.0));
  }
  let mean = sum256(sum, lane) / f32(params.width);
  var squares = 0.0;
  for (var i = lane; i < quads; i += 256u) {
    let column = vec4<u32>(0u, 1u, 2u, 3u) + 4u * i;
    let off = select(vec4<f32>(0.0), x[row + i] - mean, column < vec4<u32>(params.width));
    squares += dot(off, off);
  }
  workgroupBarrier(); // the first sum has been read
  let factor = inverseSqrt(sum256(squares, lane) / f32(params.width) + params.epsilon);
  for (var i = lane; i < quads; i += 256u) {
    x[row + i] = (x[row + i] - mean) * factor * vectors[params.weight / 4u + i] + vectors[params.bias / 4u + i];
  }
}
