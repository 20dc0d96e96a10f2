// check_attention.cpp: the self-tests of attention: a batch of tokens, and behind
// it a single one, whose positions are shared out among workgroups and merged.
// They go further than a known answer, whose few tokens never are.
#include <algorithm>
#include <cmath>
#include <limits>

#include "../f16.h"
#include "running.h"

namespace slm {
namespace {

constexpr uint32_t kPast = GpuOps::kSegment + 21; // tokens of the batch; the single one has two segments
constexpr uint32_t kAcross = 9;                   // patches of a picture's row, where they have ropes of two axes
constexpr uint32_t kLooked[] = {0, 1, 7, 63, kPast - 1}; // of the batch, those that are looked at

/// Tokens of one kind, as the attention of a model wants them.
struct Tokens {
  std::vector<float> q, k, v; // (n, heads * head_dim)
};

Tokens draw(const AttentionSpec &spec, uint32_t n, uint64_t &state) {
  Tokens t{std::vector<float>(size_t(n) * spec.n_head * spec.head_dim),
           std::vector<float>(size_t(n) * spec.n_head_kv * spec.head_dim),
           std::vector<float>(size_t(n) * spec.n_head_kv * spec.head_dim)};
  for (std::vector<float> *all : {&t.q, &t.k, &t.v})
    for (float &x : *all)
      x = next_float(state);
  return t;
}

/// Normalizes a head as rope.wgsl does; the weight may be null.
void normalize(const AttentionSpec &spec, const float *norm, float *head) {
  double squares = 0;
  for (uint32_t d = 0; d < spec.head_dim; d++)
    squares += double(head[d]) * double(head[d]);
  const double scale = 1 / std::sqrt(squares / spec.head_dim + double(spec.norm_epsilon));
  for (uint32_t d = 0; d < spec.head_dim; d++)
    head[d] = float(double(head[d]) * scale * (norm == nullptr ? 1.0 : double(norm[d])));
}

/// Normalizes and rotates it; `angles` are those of its token. Parts of a head may turn each as if alone.
void prepare(const AttentionSpec &spec, const float *norm, const float *angles, float *head) {
  const uint32_t half = spec.rope == nullptr ? 0 : spec.rope->n_dims / 2;
  if (norm != nullptr) normalize(spec, norm, head);
  for (uint32_t i = 0; i < half; i++) {
    const uint32_t pairs = spec.rope->pairs(), before = i / pairs * pairs; // those of the parts before
    float &a = head[spec.rope->neox ? i + before : 2 * i], &b = head[spec.rope->neox ? i + before + pairs : 2 * i + 1];
    const float c = angles[i * 2], s = angles[i * 2 + 1], x = a, y = b;
    a = x * c - y * s;
    b = x * s + y * c;
  }
}

/// All heads of all tokens, keys and values as the cache keeps them.
void prepare(const AttentionSpec &spec, const std::vector<float> &angles, uint32_t stride, bool f16, Tokens &t) {
  const uint32_t hd = spec.head_dim, n = static_cast<uint32_t>(t.q.size() / (spec.n_head * hd));
  for (uint32_t i = 0; i < n; i++) {
    for (uint32_t h = 0; h < spec.n_head; h++)
      prepare(spec, spec.q_norm, &angles[size_t(i) * stride], &t.q[(size_t(i) * spec.n_head + h) * hd]);
    for (uint32_t h = 0; h < spec.n_head_kv; h++)
      prepare(spec, spec.k_norm, &angles[size_t(i) * stride], &t.k[(size_t(i) * spec.n_head_kv + h) * hd]);
    for (uint32_t h = 0; spec.v_norm && h < spec.n_head_kv; h++)
      normalize(spec, nullptr, &t.v[(size_t(i) * spec.n_head_kv + h) * hd]);
  }
  if (f16)
    for (std::vector<float> *all : {&t.k, &t.v})
      for (float &x : *all)
        x = f16_to_f32(f32_to_f16(x));
}

/// What the token at `position`, with queries `q`, gets from `all`; they are prepared.
void attend(const AttentionSpec &spec, const float *q, uint32_t position, const Tokens &all, std::vector<float> &out) {
  const uint32_t hd = spec.head_dim, group = spec.n_head / spec.n_head_kv;
  const uint32_t n = static_cast<uint32_t>(all.k.size() / (size_t(spec.n_head_kv) * hd));
  const uint32_t begin = spec.window != 0 && position + 1 > spec.window ? position + 1 - spec.window : 0;
  const uint32_t end = position + 1 + std::min(spec.ahead, n - position - 1);
  const double scale = double(spec.scale) * (1 + double(spec.temperature) *
                                                     std::log1p(std::floor(position / double(spec.temperature_span))));
  std::vector<double> weights(end), sums(hd);
  for (uint32_t h = 0; h < spec.n_head; h++) {
    const auto row = [&](const std::vector<float> &of, uint32_t p) {
      return &of[(size_t(p) * spec.n_head_kv + h / group) * hd];
    };
    double most = -std::numeric_limits<double>::infinity(), total = 0;
    for (uint32_t p = begin; p < end; p++) {
      double score = 0;
      for (uint32_t d = 0; d < hd; d++)
        score += double(q[h * hd + d]) * scale * double(row(all.k, p)[d]);
      if (spec.softcap > 0) score = double(spec.softcap) * std::tanh(score / double(spec.softcap));
      weights[p] = score;
      most = std::max(most, score);
    }
    std::fill(sums.begin(), sums.end(), 0);
    for (uint32_t p = begin; p < end; p++) {
      const double weight = std::exp(weights[p] - most);
      total += weight;
      for (uint32_t d = 0; d < hd; d++)
        sums[d] += weight * double(row(all.v, p)[d]);
    }
    for (uint32_t d = 0; d < hd; d++)
      out.push_back(float(sums[d] / total));
  }
}

} // namespace

Status start_attention(Checks::Running &r, const WeightStore &weights, bool f16_cache, AttentionSpec spec) {
  const uint32_t stride = spec.rope == nullptr ? 2 : spec.rope->n_dims,
                 widths[] = {spec.n_head * spec.head_dim, spec.n_head_kv * spec.head_dim};
  // A model's span is longer than what is tried here, which then has several.
  if (spec.temperature != 0) spec.temperature_span = 32;
  r.scratch.max_rope_dims = stride;
  r.scratch.batch = Buffer(16);
  r.scratch.partials = Buffer(uint64_t(spec.n_head) * 3 * (spec.head_dim + 2) * 4);
  for (Buffer &angles : r.scratch.angles)
    angles = Buffer(uint64_t(kPast) * stride * 4);
  KvLayer cache;
  cache.n_head_kv = spec.n_head_kv, cache.head_dim = spec.head_dim;
  cache.capacity = (kPast + 1 + kKvBlock - 1) / kKvBlock * kKvBlock;
  cache.f16 = f16_cache;
  for (void **each : {&cache.keys, &cache.values}) {
    r.buffers.emplace_back(cache.bytes_each());
    *each = name_of<void>(r.buffers.back().handle());
  }
  // How a device rounds to f16 is its own affair, by one unit in the last place of 2^-11.
  if (cache.f16) r.allowance = 200;

  uint64_t state = 1;
  Tokens all = draw(spec, kPast, state), one = draw(spec, 1, state);
  Rows outs[2];
  const auto run = [&](Tokens &t, uint32_t n, uint32_t past, Rows &out) {
    const uint32_t position[4] = {past};
    gpu_upload(r.scratch.batch.handle(), 0, position, sizeof position);
    const Batch batch{nullptr, n, past};
    GpuOps op(batch, r.scratch, weights, nullptr, false);
    r.scratch.host_angles.resize(size_t(n) * stride);
    if (spec.rope != nullptr) op.rotations({spec.rope}, kAcross);
    out = r.room(n, widths[0]);
    op.attention(r.upload(t.q, widths[0]), r.upload(t.k, widths[1]), r.upload(t.v, widths[1]), spec, cache, out);
    gpu_submit(); // what the next call uploads would come before what this one has encoded
    prepare(spec, r.scratch.host_angles, stride, cache.f16, t);
  };
  run(all, kPast, 0, outs[0]);
  run(one, 1, kPast, outs[1]);

  for (const uint32_t t : kLooked)
    attend(spec, &all.q[size_t(t) * widths[0]], t, all, r.expected);
  all.k.insert(all.k.end(), one.k.begin(), one.k.end());
  all.v.insert(all.v.end(), one.v.begin(), one.v.end());
  attend(spec, one.q.data(), kPast, all, r.expected);
  r.found.assign(r.expected.size(), std::numeric_limits<float>::quiet_NaN());
  for (const uint32_t t : kLooked)
    r.read(outs[0], t);
  r.read(outs[1], 0);
  gpu_submit();
  return SLM_OK;
}

} // namespace slm
