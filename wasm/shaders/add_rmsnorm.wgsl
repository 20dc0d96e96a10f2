// add_rmsnorm.wgsl: x += y / rms(y) * weight. CPU: Ops::add_rmsnorm. One workgroup a token.
struct Params {
  width: u32,
  stride: u32, // floats between rows, of x and y
  weight: u32, // in vectors
  epsilon: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> vectors: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;
