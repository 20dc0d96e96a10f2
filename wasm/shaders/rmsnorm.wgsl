// rmsnorm.wgsl: out = x / rms(x) * weight. CPU: rmsnorm(). One workgroup a token (x of the grid).
struct Params {
  width: u32,
  stride: u32,      // floats between rows, of x and out
  first_token: u32, // of x; out begins with it
  weight: u32,      // in vectors
  epsilon: f32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> vectors: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
