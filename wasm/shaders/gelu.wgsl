// gelu.wgsl: x = gelu(x), by the error function or by tanh. CPU: gelu(), with the same approximation of it, and
// gelu_tanh().
//:include activation

override TANH: u32 = 0;

struct Params {
  n: u32, // floats, a multiple of 4
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> x: array<vec4<f32>>;

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
  let v = x[i];
  if (TANH == 1u) {
    x[i] = vec4<f32>(gelu(v.x), gelu(v.y), gelu(v.z), gelu(v.w));
    return;
  }
  let z = abs(v) * 0.70710678;
  let t = 1.0 / (1.0 + 0.3275911 * z);
  let poly = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  x[i] = max(v, vec4<f32>(0.0)) - 0.5 * abs(v) * poly * exp(-z * z);
}
