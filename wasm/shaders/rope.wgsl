// rope.wgsl: normalizes and rotates q and k, scales q, stores k and v in the cache. CPU: the first step of Ops::attention.
// One workgroup a head of a token: x = n_head + n_head_kv (queries first), y = n. Norm and rotation need the whole head.
override NEOX: u32 = 0;   // 1: halves rotate against each other, else neighbours
override QK_NORM: u32 = 0;
override F16: u32 = 1;    // the cache's elements

struct Params {
  n_head: u32,
  n_head_kv: u32,
  head_dim: u32,
  half: u32,         // n_dims / 2 of the rotation
  q_stride: u32,     // floats
  kv_stride: u32,    // floats, of k and v
  angle_stride: u32, // floats
  capacity: u32,     // slots
  q_norm: u32,       // in vectors
  k_norm: u32,
  epsilon: f32,
  scale: f32,
}
struct Batch {
  past: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> batch: Batch;
@group(0) @binding(2) var<storage, read> angles: array<f32>;
@group(0) @binding(3) var<storage, read> vectors: array<f32>;
@group(0) @binding(4) var<storage, read> k: array<f32>;
@group(0) @binding(5) var<storage, read> v: array<f32>;
@group(0) @binding(6) var<storage, read_write> q: array<f32>;
@group(0) @binding(7) var<storage, read_write> keys: array<u32>;
@group(0) @binding(8) var<storage, read_write> values: array<u32>;
