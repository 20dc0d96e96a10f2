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
