// streams.wgsl: four residuals, each of which becomes itself and a sum of all, or comes nearer to what was computed of
// the first. CPU: Ops::mix, Ops::correct. One lane four columns of a token. Workgroups: ceil(quads / 64), n.

override CORRECT: u32 = 0; // else they are mixed

struct Params {
  quads: u32,              // of a row
  coefficients_stride: u32, // floats
  scale: u32,              // in vectors
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> coefficients: array<f32>;
@group(0) @binding(2) var<storage, read> vectors: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> s0: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> s1: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> s2: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> s3: array<vec4<f32>>;

fn mixed(at: u32, a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32>) -> vec4<f32> {
  return a * coefficients[at] + b * coefficients[at + 1u] + c * coefficients[at + 2u] + d * coefficients[at + 3u];
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let column = group.x * 64u + lane;
  if (column >= params.quads) {
    return;
  }
  let i = group.y * params.quads + column;
  let at = group.y * params.coefficients_stride;
  let a = s0[i];
  let b = s1[i];
  let c = s2[i];
  let d = s3[i];
  if (CORRECT == 1u) {
    let innovation = y[i] - a;
    let first = a + (1.0 + coefficients[at]) * innovation;
    s0[i] = first;
    s1[i] = b + (1.0 + coefficients[at + 1u]) * innovation;
    s2[i] = c + (1.0 + coefficients[at + 2u]) * innovation;
    s3[i] = d + (1.0 + coefficients[at + 3u]) * innovation;
    y[i] = first * vectors[params.scale / 4u + column];
    return;
  }
  s0[i] = a + mixed(at, a, b, c, d);
  s1[i] = b + mixed(at + 4u, a, b, c, d);
  s2[i] = c + mixed(at + 8u, a, b, c, d);
  s3[i] = d + mixed(at + 12u, a, b, c, d);
}
