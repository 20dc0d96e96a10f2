// attention_merge.wgsl: joins the segments of attention.wgsl. CPU: merge(), finish(). One workgroup a head of a token: x = n_head, y = n.
struct Params {
  n_head: u32,
  head_dim: u32,
  out_stride: u32, // floats
  segments: u32,   // of partials; those that the token does not reach hold a sum of 0
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> partials: array<f32>; // (n, n_head, segments, head_dim + 2)
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let stride = params.head_dim + 2u;
  let first = (group.y * params.n_head + group.x) * params.segments * stride;
  var highest = -1e30;
  for (var s = 0u; s < params.segments; s++) {
    highest = max(highest, partials[first + s * stride + params.head_dim]);
  }
  for (var d = lane; d < params.head_dim; d += 64u) {
    var total = 0.0;
    var sum = 0.0;
    for (var s = 0u; s < params.segments; s++) {
      let at = first + s * stride;
      let factor = exp(partials[at + params.head_dim] - highest);
      total += partials[at + d] * factor;
      sum += partials[at + params.head_dim + 1u] * factor;
    }
    out[group.y * params.out_stride + group.x * params.head_dim + d] = total / sum;
  }
}
