// rmsnorm.wgsl: out = x / rms(x) * weight, or without it. CPU: rmsnorm(). One workgroup a token (x of the grid).
//:include sum256

override PLAIN: u32 = 0; // no weight

struct Params {
  width: u32,
  x_stride: u32, // floats between rows of x
  stride: u32,   // and of out
  first: u32,    // float of x with which out begins; a row's columns before it are left out
  weight: u32,   // in vectors
  epsilon: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = (params.first + group.x * params.x_stride) / 4u;
  let quads = (params.width + 3u) / 4u;
  var squares = 0.0;
  for (var i = lane; i < quads; i += 256u) {
    squares += dot(x[row + i], x[row + i]);
  }
  let factor = inverseSqrt(sum256(squares, lane) / f32(params.width) + params.epsilon);
  for (var i = lane; i < quads; i += 256u) {
    var weight = vec4<f32>(1.0);
    if (PLAIN == 0u) {
      weight = vectors[params.weight / 4u + i];
    }
    out[group.x * params.stride / 4u + i] = x[row + i] * factor * weight;
  }
}
