// ops.cpp: the operations on the CPU; see ops.h.
#include "ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/elementwise.h"

namespace slm {

uint64_t Workspace::lay_out(uint8_t *base) {
  uint64_t at = 0;
  const auto take = [&](uint64_t bytes) {
    uint8_t *p = base == nullptr ? nullptr : base + at;
    at += (bytes + 63) & ~uint64_t(63);
    return p;
  };
  quantized = take(quantized_rows_bytes(n_batch, (max_columns + 31) / 32 * 32));
  panels = take(panel_bytes() * threads);
  scores = reinterpret_cast<float *>(take(attention_scratch_bytes(max_head_dim) * threads));
  partial = reinterpret_cast<float *>(take(uint64_t(n_segments) * n_head * (max_head_dim + 2) * sizeof(float)));
  for (float *&a : angles)
    a = reinterpret_cast<float *>(take(size_t(n_batch) * max_rope_dims * sizeof(float)));
  return at;
}

void Ops::rotations(std::initializer_list<const Rope *> ropes) {
  const Range mine = tokens();
  for (const Rope *rope : ropes)
    for (uint32_t t = mine.begin; t < mine.end; t++) {
      float *out = ws_.angles[rope->index] + size_t(t) * ws_.max_rope_dims;
      for (uint32_t i = 0; i < rope->n_dims / 2; i++) {
        const float frequency = rope->inverse_freq[i] / (rope->factors == nullptr ? 1 : rope->factors[i]);
        const float angle = float(batch.past + t) * frequency;
        out[i * 2] = std::cos(angle);
        out[i * 2 + 1] = std::sin(angle);
      }
    }
}

void Ops::embed(const Matrix &table, float factor, Rows out) {
  const Range mine = tokens();
  for (uint32_t t = mine.begin; t < mine.end; t++) {
    const uint32_t id = static_cast<uint32_t>(batch.ids[t]);
    float *row = out.data + size_t(t) * out.width;
    table.kernel->dequantize(table.data + id / 4 * table.group_bytes(), table.columns, id % 4, row);
    if (factor != 1) scale(row, factor, out.width);
  }
  // Alone, each thread has written the whole row; a barrier still keeps a fast
  // thread from adding to it while a slow one is writing.
  team_.barrier();
}

void Ops::rmsnorm(Rows x, const float *weight, float epsilon, Rows out) {
  const Range mine = tokens();
  for (uint32_t t = mine.begin; t < mine.end; t++)
    slm::rmsnorm(x.data + size_t(t) * x.width, weight, epsilon, x.width, out.data + size_t(t) * out.width);
  if (!alone()) team_.barrier();
}

void Ops::add_rmsnorm(Rows y, const float *weight, float epsilon, Rows x) {
  const Range mine = share(batch.n, thread_, team_.size());
  for (uint32_t t = mine.begin; t < mine.end; t++) {
    float *row = y.data + size_t(t) * y.width;
    slm::rmsnorm(row, weight, epsilon, y.width, row);
    add(x.data + size_t(t) * x.width, row, x.width);
  }
  team_.barrier();
}

Activations Ops::activations(Rows x, uint32_t n, uint32_t roundings) {
  Activations a{x.data, {}, n};
  if (roundings == 0) return a;
  a.quantized = quantized_rows_at(ws_.quantized, n, x.width);
  if (n == 1) {
    quantize_rows(x.data, a.quantized, 0, 1, roundings);
  } else {
    const Range mine = share(n, thread_, team_.size());
    quantize_rows(x.data, a.quantized, mine.begin, mine.end, roundings);
    team_.barrier();
  }
  return a;
}

void Ops::collect(Rows x, uint32_t n, float *sums) {
  const Range mine = share(x.width, thread_, team_.size());
  for (uint32_t t = 0; t < n; t++) {
    const float *row = x.data + size_t(t) * x.width;
    for (uint32_t c = mine.begin; c < mine.end; c++)
      sums[c] += row[c] * row[c];
  }
  if (thread_ == 0) sums[x.width] += float(n);
}

void Ops::products(Rows x, uint32_t n, std::initializer_list<Product> products) {
  uint32_t roundings = 0;
  for (const Product &p : products)
    roundings |= uint32_t(p.linear.weight.kernel->rounding);
  const Activations a = activations(x, n, roundings);
  for (const Product &p : products) {
    const Matrix &w = p.linear.weight;
    if (w.input_squares != nullptr) collect(x, n, w.input_squares);
    const Range mine = my_groups(w);
    w.kernel->multiply()(w, a, p.out.data, p.out.width, mine.begin, mine.end, ws_.panels + thread_ * ws_.panel_bytes());
    if (p.linear.bias == nullptr) continue;
    const Range rows = my_rows(p.linear);
    for (uint32_t t = 0; t < n && rows.begin < rows.end; t++)
      add(p.out.data + size_t(t) * p.out.width + rows.begin, p.linear.bias + rows.begin, rows.end - rows.begin);
  }
  if (ws_.adapted != nullptr) adapt(x, n, products);
}

void Ops::matmul(Rows x, std::initializer_list<Product> list) {
  products(x, batch.n, list);
  team_.barrier();
}

void Ops::matmul_add(Rows x, const Linear &w, Rows scratch, Rows sum) {
  products(x, batch.n, {{w, scratch}});
  const Range rows = my_rows(w);
  for (uint32_t t = 0; t < batch.n && rows.begin < rows.end; t++)
    add(sum.data + size_t(t) * sum.width + rows.begin, scratch.data + size_t(t) * scratch.width + rows.begin,
        rows.end - rows.begin);
  team_.barrier();
}

void Ops::glu(Rows x, const Linear &gate, const Linear &up, Glu act, Rows out, Rows scratch) {
  products(x, batch.n, {{gate, out}, {up, scratch}});
  const Range rows = my_rows(gate); // both products split their rows alike
  for (uint32_t t = 0; t < batch.n && rows.begin < rows.end; t++) {
    float *g = out.data + size_t(t) * out.width + rows.begin;
    const float *u = scratch.data + size_t(t) * scratch.width + rows.begin;
    act == Glu::Silu ? silu_multiply(g, u, rows.end - rows.begin) : gelu_multiply(g, u, rows.end - rows.begin);
  }
  team_.barrier();
}

namespace {

/// Rotates one head in place; `angles` holds (n_dims / 2) pairs of cos and sin.
void rotate(float *head, const Rope &rope, const float *angles) {
  const uint32_t half = rope.n_dims / 2, step = rope.neox ? 1 : 2, partner = rope.neox ? half : 1;
  for (uint32_t i = 0; i < half; i++) {
    const float c = angles[i * 2], s = angles[i * 2 + 1], a = head[i * step], b = head[i * step + partner];
    head[i * step] = a * c - b * s;
    head[i * step + partner] = a * s + b * c;
  }
}

} // namespace

void Ops::attention(Rows q, Rows k, Rows v, const AttentionSpec &spec, KvLayer &cache, Rows out) {
  const uint32_t hd = spec.head_dim, group = spec.n_head / spec.n_head_kv;

  // Tokens are shared out; alone, heads are.
  const Range mine = share(batch.n, thread_, team_.size());
  const auto prepare = [&](uint32_t t, Range heads, Range heads_kv) {
    const float *angles = ws_.angles[spec.rope->index] + size_t(t) * ws_.max_rope_dims;
    for (uint32_t h = heads.begin; h < heads.end; h++) {
      float *head = q.data + size_t(t) * q.width + h * hd;
      if (spec.q_norm != nullptr) slm::rmsnorm(head, spec.q_norm, spec.norm_epsilon, hd, head);
      rotate(head, *spec.rope, angles);
      slm::scale(head, spec.scale, hd);
    }
    for (uint32_t h = heads_kv.begin; h < heads_kv.end; h++) {
      float *head = k.data + size_t(t) * k.width + h * hd;
      if (spec.k_norm != nullptr) slm::rmsnorm(head, spec.k_norm, spec.norm_epsilon, hd, head);
      rotate(head, *spec.rope, angles);
      store_kv(cache, h, batch.past + t, head, v.data + size_t(t) * v.width + h * hd);
    }
  };
  if (alone())
    prepare(0, share(spec.n_head, thread_, team_.size()), share(spec.n_head_kv, thread_, team_.size()));
  else
    for (uint32_t t = mine.begin; t < mine.end; t++)
      prepare(t, {0, spec.n_head}, {0, spec.n_head_kv});
  team_.barrier();

  float *scratch = ws_.scores + thread_ * (attention_scratch_bytes(ws_.max_head_dim) / sizeof(float));
  const auto first_seen = [&](uint32_t position) {
    return spec.window != 0 && position + 1 > spec.window ? position + 1 - spec.window : 0;
  };
  Query queries[kMaxQueries];

  if (alone()) {
    // Segments of each key head are shared out, and merged in order.
    const uint32_t end = batch.past + 1, begin = first_seen(batch.past), first = begin / kSegment;
    const uint32_t n_segments = (end + kSegment - 1) / kSegment - first;
    const auto partial = [&](uint32_t segment, uint32_t head) {
      return ws_.partial + (size_t(segment) * spec.n_head + head) * (hd + 2);
    };
    const Range units = share(spec.n_head_kv * n_segments, thread_, team_.size());
    for (uint32_t u = units.begin; u < units.end; u++) {
      const uint32_t h = u / n_segments, segment = u % n_segments, from = (first + segment) * kSegment;
      for (uint32_t g = 0; g < group; g += kMaxQueries) {
        const uint32_t n = std::min(group - g, kMaxQueries);
        for (uint32_t i = 0; i < n; i++) {
          const uint32_t head = h * group + g + i;
          queries[i] = {q.data + head * hd, partial(segment, head), 0, 0, begin, end};
        }
        attend(cache, h, queries, n, std::max(from, begin), std::min(from + kSegment, end), spec.softcap, scratch);
        for (uint32_t i = 0; i < n; i++) {
          queries[i].out[hd] = queries[i].max;
          queries[i].out[hd + 1] = queries[i].sum;
        }
      }
    }
    team_.barrier();
    const Range heads = share(spec.n_head, thread_, team_.size());
    for (uint32_t head = heads.begin; head < heads.end; head++) {
      const auto result = [&](uint32_t segment) {
        float *p = partial(segment, head);
        return Query{nullptr, p, p[hd], p[hd + 1], 0, 0};
      };
      Query total = result(0);
      for (uint32_t segment = 1; segment < n_segments; segment++)
        merge(total, result(segment), hd);
      finish(total, hd);
      std::memcpy(out.data + head * hd, total.out, hd * sizeof(float));
    }
  } else {
    // Neighbouring tokens share a pass over the keys; later tokens see more of
    // them, so runs of tokens are dealt out in turn.
    const uint32_t heads_at_once = group < kMaxQueries ? group : kMaxQueries;
    const uint32_t run = kMaxQueries / heads_at_once;
    const uint32_t n_runs = (batch.n + run - 1) / run;
    for (uint32_t r = thread_; r < n_runs; r += team_.size()) {
      const uint32_t first = r * run, last = first + run < batch.n ? first + run : batch.n;
      for (uint32_t h = 0; h < spec.n_head_kv; h++)
        for (uint32_t g = 0; g < group; g += heads_at_once) {
          uint32_t n = 0;
          for (uint32_t t = first; t < last; t++)
            for (uint32_t i = g; i < g + heads_at_once && i < group; i++) {
              const uint32_t head = h * group + i;
              queries[n++] = {q.data + size_t(t) * q.width + head * hd,
                              out.data + size_t(t) * out.width + head * hd,
                              0,
                              0,
                              first_seen(batch.past + t),
                              batch.past + t + 1};
            }
          attend_segments(cache, h, queries, n, first_seen(batch.past + first), batch.past + last, spec.softcap,
                          scratch);
        }
    }
  }
  team_.barrier();
}

void Ops::logits(Rows x, const float *norm, float epsilon, const Linear &head, float cap, uint32_t n, Rows normed,
                 float *out) {
  if (n == 0) return;
  const Rows last{x.data + size_t(batch.n - n) * x.width, x.width};
  const Range mine = n == 1 ? Range{0, 1} : share(n, thread_, team_.size());
  for (uint32_t t = mine.begin; t < mine.end; t++)
    slm::rmsnorm(last.data + size_t(t) * x.width, norm, epsilon, x.width, normed.data + size_t(t) * x.width);
  if (n > 1) team_.barrier();
  const uint32_t n_vocab = head.weight.rows;
  products({normed.data, x.width}, n, {{head, {out, n_vocab}}});
  if (cap > 0) {
    const Range rows = my_rows(head);
    for (uint32_t t = 0; t < n && rows.begin < rows.end; t++)
      softcap(out + size_t(t) * n_vocab + rows.begin, cap, rows.end - rows.begin);
  }
  team_.barrier();
}

} // namespace slm
