// attention.wgsl: scaled dot-product attention over the cache with an online softmax (Milakov and Gimelshein 2018).
// CPU: attend(). q is scaled already. A workgroup has one query head of QUERIES neighbouring tokens and one segment of
// positions: x = n_head, y = ceil(n / QUERIES), z = segments. Segment s covers positions [first + s * segment, ...) where
// first is what the tile's first token sees first, rounded down to a multiple of `segment`... of what each token may see:
// token t at position past + t sees [max(0, past + t + 1 - window), past + t] (window 0: from 0).
// With one segment (SPLIT 0) the result goes to out; else the undivided sums, maximum and sum of weights of each
// (token, head, segment) go to partial, (n, n_head, segments, head_dim + 2), and attention_merge.wgsl joins them.
override QUERIES: u32 = 1;
override SPLIT: u32 = 0;
override F16: u32 = 1;

struct Params {
  n_head: u32,
  n_head_kv: u32,
  head_dim: u32,   // a multiple of 8, at most 512
  q_stride: u32,   // floats
  out_stride: u32, // floats
  capacity: u32,   // slots
  window: u32,
  n: u32,          // tokens
  segment: u32,    // positions of a segment
  softcap: f32,    // 0 is off
}
struct Batch {
  past: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> batch: Batch;
@group(0) @binding(2) var<storage, read> q: array<f32>;
@group(0) @binding(3) var<storage, read> keys: array<u32>;
@group(0) @binding(4) var<storage, read> values: array<u32>;
@group(0) @binding(5) var<storage, read_write> out: array<f32>;
@group(0) @binding(6) var<storage, read_write> partials: array<f32>;
