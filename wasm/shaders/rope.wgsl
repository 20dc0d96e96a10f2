// rope.wgsl: normalizes and rotates q and k, scales q, stores k and v in the cache. CPU: the first step of Ops::attention.
// One workgroup a head of a token: x = n_head + n_head_kv (queries first; they alone where the layer attends to
// another one's keys), y = n. Norm and rotation need the whole head.
override NEOX: u32 = 0;   // 1: halves rotate against each other, or those of each part, else neighbours
override QK_NORM: u32 = 0;
override V_NORM: u32 = 0; // without a weight
override F16: u32 = 1;    // the cache's elements

struct Params {
  n_head: u32,
  n_head_kv: u32,
  head_dim: u32,     // even, at most 512
  half: u32,         // n_dims / 2 of the rotation
  pairs: u32,        // of a part of it: half, or a part of that where parts turn as if alone
  q_stride: u32,     // floats
  kv_stride: u32,    // floats, of k and v
  angle_stride: u32, // floats
  capacity: u32,     // slots
  q_norm: u32,       // in vectors
  k_norm: u32,
  epsilon: f32,
  scale: f32,
  first: u32,        // of the call's tokens, the first that is left
  temperature: f32, // of queries, by their position; see AttentionSpec
  temperature_span: f32,
}
struct Batch {
  past: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> batch: Batch;
@group(0) @binding(2) var<storage, read> angles: array<f32>; // (n, angle_stride) cos and sin by turns
@group(0) @binding(3) var<storage, read> vectors: array<f32>;
@group(0) @binding(4) var<storage, read> k: array<f32>;
@group(0) @binding(5) var<storage, read> v: array<f32>;
@group(0) @binding(6) var<storage, read_write> q: array<f32>;
@group(0) @binding(7) var<storage, read_write> keys: array<u32>;
@group(0) @binding(8) var<storage, read_write> values: array<u32>;

var<workgroup> head: array<f32, 512>;
var<workgroup> squares: array<f32, 64>;

// The sum of all lanes' values, in every lane.
fn sum64(value: f32, lane: u32) -> f32 {
  squares[lane] = value;
  workgroupBarrier();
  for (var width = 16u; width > 0u; width /= 4u) {
    if (lane < width) {
      squares[lane] += squares[lane + width] + squares[lane + 2u * width] + squares[lane + 3u * width];
    }
    workgroupBarrier();
  }
  return squares[0];
}

// Element d of the head, rotated.
fn rotated(d: u32, angle: u32) -> f32 {
  if (d >= 2u * params.half) {
    return head[d];
  }
  let neox = NEOX == 1u;
  let part = d / (2u * params.pairs);
  let second = select((d & 1u) == 1u, d % (2u * params.pairs) >= params.pairs, neox);
  let pair = select(d / 2u, part * params.pairs + d % params.pairs, neox);
  let a = head[select(2u * pair, pair + part * params.pairs, neox)];
  let b = head[select(2u * pair + 1u, pair + (part + 1u) * params.pairs, neox)];
  let c = angles[angle + 2u * pair];
  let s = angles[angle + 2u * pair + 1u];
  return select(a * c - b * s, a * s + b * c, second);
}

// Two halves; a number out of their range would become anything.
fn pack(a: f32, b: f32) -> u32 {
  return pack2x16float(clamp(vec2<f32>(a, b), vec2<f32>(-65504.0), vec2<f32>(65504.0)));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let token = group.y;
  let of_query = group.x < params.n_head;
  let h = select(group.x - params.n_head, group.x, of_query);
  let first = token * select(params.kv_stride, params.q_stride, of_query) + h * params.head_dim;

  var sum = 0.0;
  for (var d = lane; d < params.head_dim; d += 64u) {
    var value: f32;
    if (of_query) {
      value = q[first + d];
    } else {
      value = k[first + d];
    }
    head[d] = value;
    sum += value * value;
  }
  workgroupBarrier();
  if (QK_NORM == 1u) {
    let factor = inverseSqrt(sum64(sum, lane) / f32(params.head_dim) + params.epsilon);
    let weight = select(params.k_norm, params.q_norm, of_query);
    for (var d = lane; d < params.head_dim; d += 64u) {
      head[d] *= factor * vectors[weight + d];
    }
    workgroupBarrier();
  }

  let angle = (params.first + token) * params.angle_stride;
  if (of_query) {
    let spans = floor(f32(batch.past + params.first + token) / params.temperature_span);
    let scale = params.scale * (1.0 + params.temperature * log(1.0 + spans));
    for (var d = lane; d < params.head_dim; d += 64u) {
      q[first + d] = rotated(d, angle) * scale;
    }
    return;
  }
  var factor = 1.0; // of the value
  if (V_NORM == 1u) {
    var squares_of_v = 0.0;
    for (var d = lane; d < params.head_dim; d += 64u) {
      squares_of_v += v[first + d] * v[first + d];
    }
    factor = inverseSqrt(sum64(squares_of_v, lane) / f32(params.head_dim) + params.epsilon);
  }
  let slot = h * params.capacity + (batch.past + params.first + token) % params.capacity;
  if (F16 == 1u) {
    let words = params.head_dim / 2u;
    for (var i = lane; i < words; i += 64u) {
      keys[slot * words + i] = pack(rotated(2u * i, angle), rotated(2u * i + 1u, angle));
      values[slot * words + i] = pack(v[first + 2u * i] * factor, v[first + 2u * i + 1u] * factor);
    }
  } else {
    for (var d = lane; d < params.head_dim; d += 64u) {
      keys[slot * params.head_dim + d] = bitcast<u32>(rotated(d, angle));
      values[slot * params.head_dim + d] = bitcast<u32>(v[first + d] * factor);
    }
  }
}
