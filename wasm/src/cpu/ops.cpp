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
  const auto floats = [&](uint64_t n) { return reinterpret_cast<float *>(take(n * sizeof(float))); };
  const auto rounded_up = [](uint32_t columns) { return (columns + 31) / 32 * 32; };
  const uint32_t columns = rounded_up(max_columns), widest = rounded_up(std::max(max_columns, n_wide));
  if (rounds) quantized = take(std::max(quantized_rows_bytes(n_batch, columns), quantized_rows_bytes(1, widest)));
  normed = floats(uint64_t(n_batch) * n_embd);
  partial = floats(uint64_t(n_segments) * n_head * (max_head_dim + 2));
  for (float *&a : angles)
    a = floats(uint64_t(n_batch) * max_rope_dims);
  for (uint32_t i = 0; i < threads; i++) {
    own[i].quantized = take(quantized_rows_bytes(1, widest));
    own[i].normed = floats(n_embd);
    own[i].panels = take(matmul_scratch_bytes(std::max(max_columns, n_wide)));
    own[i].scores = reinterpret_cast<float *>(take(attention_scratch_bytes(max_head_dim)));
    own[i].results = floats(result_floats());
  }
  return at;
}

CpuOps::Cut CpuOps::cut_next(uint32_t units, uint32_t most, uint64_t macs) const {
  // Some ten microseconds: short beside the time for which a thread loses its
  // core, long beside what it takes to take a piece.
  constexpr uint64_t kPieceMacs = 1 << 20;
  const uint32_t here = units / Team::kMaxPieces < most ? units : most * Team::kMaxPieces, threads = team_.size();
  const uint64_t wanted = std::max<uint64_t>((here + most - 1) / most, threads == 1 ? 1 : here * macs / kPieceMacs);
  // A multiple of the threads, so that they end together.
  const uint64_t even = std::max<uint64_t>(wanted + threads - 1, threads) / threads * threads;
  return {here, static_cast<uint32_t>(std::min<uint64_t>({even, here, Team::kMaxPieces}))};
}

void CpuOps::rotations(std::initializer_list<const Rope *> ropes, uint32_t across) {
  cut(batch.n, [&](Range tokens) {
    for (const Rope *rope : ropes)
      for (uint32_t t = tokens.begin; t < tokens.end; t++) {
        float *out = ws_.angles[rope->index] + size_t(t) * ws_.max_rope_dims;
        for (uint32_t i = 0; i < rope->n_dims / 2; i++) {
          const float angle = rope->angle(i, batch.past + t - batch.read, across, ws_.n_ctx);
          out[i * 2] = std::cos(angle) * rope->magnitude;
          out[i * 2 + 1] = std::sin(angle) * rope->magnitude;
        }
      }
  });
}

const float *CpuOps::picture_row(uint32_t token) const {
  for (const Placed &p : batch.pictures)
    if (token >= p.first && token - p.first < p.n) return p.rows.data + size_t(p.from + token - p.first) * p.rows.width;
  return nullptr;
}

void CpuOps::embed(const Matrix &table, float factor, Rows out) {
  cut(batch.n, [&](Range tokens) {
    for (uint32_t t = tokens.begin; t < tokens.end; t++) {
      float *row = out.data + size_t(t) * out.width;
      if (const float *shown = picture_row(t); shown != nullptr) {
        std::memcpy(row, shown, out.width * sizeof(float));
        continue;
      }
      const uint32_t id = static_cast<uint32_t>(batch.ids[t]);
      table.kernel->dequantize(table.data + id / 4 * group_bytes(table), table.columns, id % 4, row);
      if (ws_.adapted != nullptr) adapt_embedding(id, row);
      if (factor != 1) scale(row, factor, out.width);
    }
  });
}

void CpuOps::embed(const RowTable &table, float factor, Rows out) {
  const uint32_t width = table.slice(), slices = table.columns / width;
  cut(batch.n * slices, [&](Range units) {
    for (uint32_t u = units.begin; u < units.end; u++) {
      const uint32_t t = u / slices, i = u % slices;
      float *to = out.data + size_t(t) * out.width + i * width;
      table.read(picture_row(t) != nullptr ? 0 : static_cast<uint32_t>(batch.ids[t]), i, to);
      scale(to, factor, width);
    }
  });
}

void CpuOps::add_embedding(const Matrix &table, Index index, Rows x, uint32_t across) {
  const auto row_of = [&](uint32_t token) {
    switch (index) {
    case Index::Position:
      return token;
    case Index::First:
      return 0u;
    case Index::Column:
      return token % across;
    case Index::Row:
      return table.rows / 2 + token / across;
    }
  };
  cut(batch.n, [&](Range tokens) {
    for (uint32_t t = tokens.begin; t < tokens.end; t++) {
      const uint32_t row = row_of(t);
      table.kernel->dequantize(table.data + row / 4 * group_bytes(table), table.columns, row % 4, own_.normed);
      add(x.data + size_t(t) * x.width, own_.normed, x.width);
    }
  });
}

void CpuOps::layernorm(const LayerNorm &norm, Rows x, Rows out) {
  cut(batch.n, [&](Range tokens) {
    for (uint32_t t = tokens.begin; t < tokens.end; t++) {
      float *row = out.data + size_t(t) * x.width;
      if (out.data != x.data) std::memcpy(row, x.data + size_t(t) * x.width, x.width * sizeof(float));
      slm::layernorm(row, norm.weight, norm.bias, norm.epsilon, x.width);
    }
  });
}

void CpuOps::gelu(Rows x, GeluForm which) {
  const auto apply = which == GeluForm::Erf ? slm::gelu : slm::gelu_tanh;
  cut(batch.n, [&](Range tokens) {
    for (uint32_t t = tokens.begin; t < tokens.end; t++)
      apply(x.data + size_t(t) * x.width, x.width);
  });
}

void CpuOps::rmsnorm(const Input &x, Rows out, uint32_t first) {
  cut(batch.n, [&](Range tokens) {
    for (uint32_t t = tokens.begin; t < tokens.end; t++)
      slm::rmsnorm(x.rows.data + size_t(t) * x.rows.width + first, x.norm, x.epsilon, out.width,
                   out.data + size_t(t) * out.width);
  });
}

void CpuOps::add_rmsnorm(Rows y, const float *weight, float epsilon, Rows x, float factor) {
  cut(batch.n, [&](Range tokens) {
    for (uint32_t t = tokens.begin; t < tokens.end; t++) {
      float *row = y.data + size_t(t) * y.width, *sum = x.data + size_t(t) * x.width;
      slm::rmsnorm(row, weight, epsilon, y.width, row);
      add(sum, row, x.width);
      if (factor != 1) scale(sum, factor, x.width);
    }
  });
}

void CpuOps::add_rmsnorm_slices(Rows y, const float *weight, uint32_t width, float epsilon, Rows x) {
  const uint32_t slices = y.width / width;
  cut(batch.n * slices, [&](Range units) {
    for (uint32_t u = units.begin; u < units.end; u++) {
      float *row = y.data + size_t(u) * width;
      slm::rmsnorm(row, weight, epsilon, width, row);
      add(x.data + size_t(u) * width, row, width);
    }
  });
}

void CpuOps::accumulate(Rows x, Rows y) {
  cut(batch.n, [&](Range tokens) {
    const size_t begin = size_t(tokens.begin) * x.width, end = size_t(tokens.end) * x.width;
    add(y.data + begin, x.data + begin, static_cast<uint32_t>(end - begin));
  });
}

void CpuOps::copy(Rows from, Rows to) {
  cut(batch.n, [&](Range tokens) {
    const size_t begin = size_t(tokens.begin) * from.width, end = size_t(tokens.end) * from.width;
    std::memcpy(to.data + begin, from.data + begin, (end - begin) * sizeof(float));
  });
}

void CpuOps::clip(Rows x, float low, float high) {
  cut(batch.n, [&](Range tokens) {
    for (size_t i = size_t(tokens.begin) * x.width; i < size_t(tokens.end) * x.width; i++)
      x.data[i] = std::fmin(std::fmax(x.data[i], low), high);
  });
}

void CpuOps::difference(Rows x, Rows y) {
  cut(batch.n, [&](Range tokens) {
    for (size_t i = size_t(tokens.begin) * x.width; i < size_t(tokens.end) * x.width; i++)
      y.data[i] = x.data[i] - y.data[i];
  });
}

void CpuOps::add_row(const float *row, Rows x) {
  cut(batch.n, [&](Range tokens) {
    for (uint32_t t = tokens.begin; t < tokens.end; t++)
      add(x.data + size_t(t) * x.width, row, x.width);
  });
}

// ---- products -----------------------------------------------------------------------

Activations CpuOps::own_activations(const Input &x, uint32_t roundings) {
  Activations a{x.rows.data, {}, 1};
  if (x.norm != nullptr) {
    slm::rmsnorm(x.rows.data, x.norm, x.epsilon, x.rows.width, own_.normed);
    a.f32 = own_.normed;
  }
  if (roundings == 0) return a;
  a.quantized = quantized_rows_at(own_.quantized, 1, x.rows.width);
  quantize_rows(a.f32, a.quantized, 0, 1, roundings);
  return a;
}

Activations CpuOps::shared_activations(const Input &x, uint32_t n, uint32_t roundings) {
  const uint32_t width = x.rows.width;
  Activations a{x.norm == nullptr ? x.rows.data : ws_.normed, {}, n};
  if (roundings != 0) a.quantized = quantized_rows_at(ws_.quantized, n, width);
  if (roundings == 0 && x.norm == nullptr) return a;
  cut(n, [&](Range tokens) {
    if (x.norm != nullptr)
      for (uint32_t t = tokens.begin; t < tokens.end; t++)
        slm::rmsnorm(x.rows.data + size_t(t) * width, x.norm, x.epsilon, width, ws_.normed + size_t(t) * width);
    if (roundings != 0) quantize_rows(a.f32, a.quantized, tokens.begin, tokens.end, roundings);
  });
  return a;
}

void CpuOps::collect(const float *x, uint32_t n, const Matrix &w) {
  cut(w.columns, [&](Range columns) {
    for (uint32_t t = 0; t < n; t++)
      for (uint32_t c = columns.begin; c < columns.end; c++)
        w.input_squares[c] += x[size_t(t) * w.columns + c] * x[size_t(t) * w.columns + c];
    if (columns.begin == 0) w.input_squares[w.columns] += float(n);
  });
}

void CpuOps::products(Input x, uint32_t n, std::initializer_list<Product> products, Finish finish, float factor,
                      float cap, By by) {
  const bool paired = finish == Finish::Silu || finish == Finish::Gelu; // both products' rows belong together
  const uint32_t columns = x.rows.width, streams = paired ? 2 : 1;
  uint32_t roundings = 0, units = 0;
  bool collecting = false;
  const auto units_of = [](const Matrix &w) { return (w.rows + Workspace::kUnitRows - 1) / Workspace::kUnitRows; };
  for (const Product &p : products) {
    const Matrix &w = p.linear.weight;
    if (!ws_.exact) roundings |= uint32_t(w.kernel->rounding);
    collecting |= w.input_squares != nullptr;
    units = paired ? units_of(w) : units + units_of(w);
  }

  // One row is prepared by each thread for itself, unless others are to see it.
  Activations a{};
  bool prepared = n > 1 || collecting || ws_.adapted != nullptr;
  if (prepared) a = shared_activations(x, n, roundings);
  if (collecting)
    for (const Product &p : products)
      if (p.linear.weight.input_squares != nullptr) collect(a.f32, n, p.linear.weight);
  if (ws_.adapted != nullptr) lower(a.f32, n, products);

  /// Calls f(index, rows) for each product that has rows among `of`.
  const auto each = [&](Range of, auto f) {
    uint32_t index = 0, first = 0;
    for (const Product &p : products) {
      const uint32_t own = units_of(p.linear.weight), n_rows = p.linear.weight.rows;
      const uint32_t begin = std::clamp(of.begin, first, first + own) - first;
      const uint32_t end = std::clamp(of.end, first, first + own) - first;
      if (begin < end) f(index, p, Range{begin * Workspace::kUnitRows, std::min(end * Workspace::kUnitRows, n_rows)});
      if (!paired) first += own;
      index++;
    }
  };
  const auto compute = [&](Range of) {
    if (!prepared) a = own_activations(x, roundings);
    prepared = true;
    float *y = own_.results;
    each(of, [&](uint32_t index, const Product &p, Range rows) {
      Matrix w = p.linear.weight;
      const uint32_t width = rows.end - rows.begin;
      w.data += rows.begin / kRows * group_bytes(w);
      w.rows -= rows.begin;
      const auto multiply = ws_.exact ? multiply_exact : &w.kernel->multiply();
      multiply(w, a, y, width, 0, (width + kRows - 1) / kRows, own_.panels);
      if (p.linear.bias != nullptr)
        for (uint32_t t = 0; t < n; t++)
          add(y + size_t(t) * width, p.linear.bias + rows.begin, width);
      if (ws_.adapted != nullptr) raise(n, products, index, rows, y);
      y += size_t(n) * width;
    });
    const uint32_t all = static_cast<uint32_t>(y - own_.results);
    if (factor != 1) scale(own_.results, factor, all);
    if (finish == Finish::Silu) silu_multiply(own_.results, own_.results + all / 2, all / 2);
    if (finish == Finish::Gelu) gelu_multiply(own_.results, own_.results + all / 2, all / 2);
    if (finish == Finish::Cap) softcap(own_.results, cap, all);
    if (finish == Finish::SiluBy || finish == Finish::GeluBy)
      each(of, [&](uint32_t, const Product &, Range rows) {
        const uint32_t width = rows.end - rows.begin;
        for (uint32_t t = 0; t < n; t++) {
          float *row = own_.results + size_t(t) * width;
          const float *factors = by.rows.data + size_t(t) * by.rows.width + by.first + rows.begin;
          finish == Finish::SiluBy ? silu_multiply(row, factors, width) : gelu_multiply(row, factors, width);
        }
      });
  };
  const auto commit = [&](Range of) {
    const float *y = own_.results;
    each(of, [&](uint32_t index, const Product &p, Range rows) {
      if (paired && index > 0) return;
      const uint32_t width = rows.end - rows.begin;
      for (uint32_t t = 0; t < n; t++, y += width) {
        float *out = p.out.data + size_t(t) * p.out.width + rows.begin;
        if (finish == Finish::Add)
          add(out, y, width);
        else
          std::memcpy(out, y, width * sizeof(float));
      }
    });
  };
  const uint32_t most = ws_.result_floats() / (streams * Workspace::kUnitRows * n);
  cut(units, most, uint64_t(streams) * Workspace::kUnitRows * columns * n, compute, commit);
}

void CpuOps::matmul(const Input &x, std::initializer_list<Product> list) { products(x, batch.n, list, Finish::Copy); }

void CpuOps::matmul_add(const Input &x, const Linear &w, Rows sum, float factor) {
  products(x, batch.n, {{w, sum}}, Finish::Add, factor);
}

void CpuOps::matmul_tanh(const Input &x, const Linear &w, float factor, Rows out) {
  products(x, batch.n, {{w, out}}, Finish::Cap, factor, 1);
}

void CpuOps::glu(const Input &x, const Linear &gate, const Linear &up, Glu act, Rows out) {
  products(x, batch.n, {{gate, out}, {up, out}}, act == Glu::Silu ? Finish::Silu : Finish::Gelu);
}

void CpuOps::gate(const Input &x, const Linear &gate, Glu act, Rows by, uint32_t first, Rows out) {
  products(x, batch.n, {{gate, out}}, act == Glu::Silu ? Finish::SiluBy : Finish::GeluBy, 1, 0, {by, first});
}

void CpuOps::glu(Rows up, Glu act, Rows gate) {
  const auto multiply = act == Glu::Silu ? silu_multiply : gelu_multiply;
  cut(batch.n, [&](Range tokens) {
    for (uint32_t t = tokens.begin; t < tokens.end; t++)
      multiply(gate.data + size_t(t) * gate.width, up.data + size_t(t) * up.width, gate.width);
  });
}

uint32_t CpuOps::keep_last(uint32_t n, std::initializer_list<Rows *> rows) {
  if (ws_.collecting || is_tapped()) return batch.n;
  const uint32_t left_out = batch.n - n;
  for (Rows *r : rows)
    r->data += size_t(left_out) * r->width;
  first_ += left_out;
  batch = {batch.ids + left_out, n, batch.past + left_out};
  return n;
}

void CpuOps::pool(const Input &x, Pooling how, Rows out) {
  const uint32_t width = x.rows.width, first = how == Pooling::Last ? batch.n - 1 : 0;
  const uint32_t count = how == Pooling::Mean ? batch.n : 1;
  float *rows = x.rows.data + size_t(first) * width;
  if (x.norm != nullptr)
    cut(count, [&](Range of) {
      for (uint32_t t = of.begin; t < of.end; t++)
        slm::rmsnorm(rows + size_t(t) * width, x.norm, x.epsilon, width, rows + size_t(t) * width);
    });
  cut(width, [&](Range columns) {
    for (uint32_t c = columns.begin; c < columns.end; c++) {
      float sum = 0;
      for (uint32_t t = 0; t < count; t++)
        sum += rows[size_t(t) * width + c];
      out.data[c] = sum / float(count);
    }
  });
  batch.n = 1;
}

void CpuOps::patches(const Pixels &pixels, uint32_t side, Rows out) {
  const uint32_t across = pixels.width / side;
  cut(batch.n, [&](Range rows) {
    for (uint32_t p = rows.begin; p < rows.end; p++) {
      const uint8_t *corner = pixels.rgb + (size_t(p / across) * pixels.width + p % across) * side * 3;
      float *row = out.data + size_t(p) * out.width;
      for (uint32_t colour = 0; colour < 3; colour++) {
        const float factor = 1 / (255 * pixels.deviation[colour]);
        const float offset = -pixels.mean[colour] / pixels.deviation[colour];
        for (uint32_t y = 0; y < side; y++)
          for (uint32_t x = 0; x < side; x++)
            *row++ = float(corner[(size_t(y) * pixels.width + x) * 3 + colour]) * factor + offset;
      }
    }
  });
}

void CpuOps::merge_rows(Rows x, uint32_t across, uint32_t factor, Merge how, Rows out) {
  const uint32_t merged = across / factor;
  batch.n /= factor * factor;
  cut(batch.n, [&](Range rows) {
    for (uint32_t r = rows.begin; r < rows.end; r++) {
      const float *corner = x.data + (size_t(r / merged) * across + r % merged) * factor * x.width;
      float *row = out.data + size_t(r) * out.width;
      if (how == Merge::Mean) std::memset(row, 0, out.width * sizeof(float));
      for (uint32_t i = 0; i < factor * factor; i++) {
        const float *in = corner + (size_t(i / factor) * across + i % factor) * x.width;
        if (how == Merge::Mean)
          add(row, in, x.width);
        else
          std::memcpy(row + size_t(i) * x.width, in, x.width * sizeof(float));
      }
      if (how == Merge::Mean) scale(row, 1 / float(factor * factor), out.width);
    }
  });
}

void CpuOps::logits(const Input &x, const Linear &head, float cap, uint32_t n, float *out, float factor) {
  if (n == 0) return;
  Input last = x;
  last.rows.data += size_t(batch.n - n) * x.rows.width;
  products(last, n, {{head, {out, head.weight.rows}}}, cap > 0 ? Finish::Cap : Finish::Copy, factor, cap);
}

// ---- attention ----------------------------------------------------------------------

namespace {

/// Rotates one head in place; `angles` holds (n_dims / 2) pairs of cos and sin.
void rotate(float *head, const Rope &rope, const float *angles) {
  const uint32_t pairs = rope.pairs(), step = rope.neox ? 1 : 2, partner = rope.neox ? pairs : 1;
  for (const float *end = angles + rope.n_dims; angles < end; head += 2 * pairs)
    for (uint32_t i = 0; i < pairs; i++, angles += 2) {
      const float c = angles[0], s = angles[1], a = head[i * step], b = head[i * step + partner];
      head[i * step] = a * c - b * s;
      head[i * step + partner] = a * s + b * c;
    }
}

/// The positions that a token sees: in one piece, for whoever is in a block sees all that lies up to its end.
Range seen(const AttentionSpec &spec, const Batch &batch, uint32_t token) {
  const uint32_t position = batch.past + token;
  if (batch.read != 0) return {0, batch.is_in_ring(spec.window, position) ? batch.read + spec.window : position + 1};
  Range seen{spec.window != 0 && position + 1 > spec.window ? position + 1 - spec.window : 0,
             position + 1 + std::min(spec.ahead, batch.n - token - 1)};
  for (const Together &block : batch.blocks)
    if (token >= block.begin && token < block.end) {
      if (!block.windowed) seen.begin = std::min(seen.begin, batch.past + block.begin);
      seen.end = std::max(seen.end, batch.past + block.end);
    }
  return seen;
}

/// What a query at `position` is scaled by, for what it is to tell apart among more positions.
float warmth(const AttentionSpec &spec, uint32_t position) {
  if (spec.temperature == 0) return 1;
  return 1 + spec.temperature * std::log(1 + std::floor(float(position) / spec.temperature_span));
}

/// Attention's products are float32: a third as fast as those of the weights.
constexpr uint64_t kFloatCost = 3;

} // namespace

void CpuOps::attention(Rows q, Rows k, Rows v, const AttentionSpec &spec, KvLayer &cache, Rows out) {
  const uint32_t hd = spec.head_dim, group = spec.n_head / spec.n_head_kv;
  cut(batch.n * spec.n_head_kv, [&](Range units) {
    for (uint32_t u = units.begin; u < units.end; u++) {
      const uint32_t t = u / spec.n_head_kv, h = u % spec.n_head_kv;
      const auto turn = [&](float *head) {
        if (spec.rope != nullptr)
          rotate(head, *spec.rope, ws_.angles[spec.rope->index] + size_t(first_ + t) * ws_.max_rope_dims);
      };
      for (uint32_t i = 0; i < group && q.data != nullptr; i++) {
        float *head = q.data + size_t(t) * q.width + (h * group + i) * hd;
        if (spec.q_norm != nullptr) slm::rmsnorm(head, spec.q_norm, spec.norm_epsilon, hd, head);
        turn(head);
        slm::scale(head, spec.scale * warmth(spec, batch.past + t), hd);
      }
      if (k.data == nullptr) continue;
      float *key = k.data + size_t(t) * k.width + h * hd, *value = v.data + size_t(t) * v.width + h * hd;
      if (spec.k_norm != nullptr) slm::rmsnorm(key, spec.k_norm, spec.norm_epsilon, hd, key);
      if (spec.v_norm) slm::rmsnorm(value, nullptr, spec.norm_epsilon, hd, value);
      turn(key);
      store_kv(cache, h, batch.slot(spec.window, batch.past + t), key, value);
    }
  });
  if (q.data == nullptr) return;
  if (batch.n == 1)
    attend_one(q, spec, cache, out);
  else
    attend_batch(q, spec, cache, out);
}

/// Segments of each key head are computed apart, and merged in order.
void CpuOps::attend_one(Rows q, const AttentionSpec &spec, const KvLayer &cache, Rows out) {
  const uint32_t hd = spec.head_dim, group = spec.n_head / spec.n_head_kv, stride = hd + 2;
  const Range all = seen(spec, batch, 0);
  const uint32_t end = all.end, begin = all.begin, first = begin / kSegment;
  const uint32_t n_segments = (end + kSegment - 1) / kSegment - first;
  // A unit is a few of the queries of a key head over one segment.
  const uint32_t at_once = std::min(group, kMaxQueries), runs = (group + at_once - 1) / at_once;
  const auto each = [&](Range units, auto f) {
    for (uint32_t u = units.begin; u < units.end; u++) {
      const uint32_t segment = u / runs % n_segments, h = u / runs / n_segments, g = u % runs * at_once;
      f(segment, h, h * group + g, std::min(group - g, at_once), own_.results + (u - units.begin) * at_once * stride);
    }
  };
  const auto compute = [&](Range units) {
    each(units, [&](uint32_t segment, uint32_t h, uint32_t head, uint32_t n, float *results) {
      Query queries[kMaxQueries];
      for (uint32_t i = 0; i < n; i++)
        queries[i] = {q.data + (head + i) * hd, results + i * stride, 0, 0, begin, end};
      const uint32_t from = (first + segment) * kSegment;
      attend(cache, h, queries, n, std::max(from, begin), std::min(from + kSegment, end), spec.softcap, own_.scores);
      for (uint32_t i = 0; i < n; i++) {
        queries[i].out[hd] = queries[i].max;
        queries[i].out[hd + 1] = queries[i].sum;
      }
    });
  };
  const auto partial = [&](uint32_t segment, uint32_t head) {
    return ws_.partial + (size_t(segment) * spec.n_head + head) * stride;
  };
  const auto commit = [&](Range units) {
    each(units, [&](uint32_t segment, uint32_t, uint32_t head, uint32_t n, const float *results) {
      std::memcpy(partial(segment, head), results, size_t(n) * stride * sizeof(float));
    });
  };
  cut(spec.n_head_kv * n_segments * runs, ws_.result_floats() / (at_once * stride),
      kFloatCost * 2 * at_once * hd * kSegment, compute, commit);

  cut(spec.n_head, [&](Range heads) {
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
  });
}

/// A unit is a key head's queries of a few neighbouring tokens.
void CpuOps::attend_batch(Rows q, const AttentionSpec &spec, const KvLayer &cache, Rows out) {
  const uint32_t hd = spec.head_dim, group = spec.n_head / spec.n_head_kv;
  const uint32_t at_once = std::min(group, kMaxQueries), chunks = (group + at_once - 1) / at_once;
  const uint32_t run = kMaxQueries / at_once, n_runs = (batch.n + run - 1) / run;
  /// Calls f(row, of all rows that the unit computes, in order) with the row's token and head.
  const auto each = [&](uint32_t unit, auto f) {
    const uint32_t h = unit / chunks % spec.n_head_kv, g = unit % chunks * at_once;
    const uint32_t from = unit / chunks / spec.n_head_kv * run, to = std::min(from + run, batch.n);
    for (uint32_t t = from, row = 0; t < to; t++)
      for (uint32_t i = g; i < std::min(g + at_once, group); i++)
        f(row++, t, h * group + i);
    return h;
  };
  const auto results = [&](Range units, uint32_t unit) {
    return own_.results + size_t(unit - units.begin) * kMaxQueries * hd;
  };
  const auto compute = [&](Range units) {
    for (uint32_t u = units.begin; u < units.end; u++) {
      Query queries[kMaxQueries];
      uint32_t n = 0;
      const uint32_t h = each(u, [&](uint32_t row, uint32_t t, uint32_t head) {
        const Range positions = seen(spec, batch, t);
        queries[n++] = {q.data + size_t(t) * q.width + head * hd,
                        results(units, u) + row * hd,
                        0,
                        0,
                        positions.begin,
                        positions.end};
      });
      // With a token's position both ends of what it sees rise.
      attend_segments(cache, h, queries, n, queries[0].begin, queries[n - 1].end, spec.softcap, own_.scores);
    }
  };
  const auto commit = [&](Range units) {
    for (uint32_t u = units.begin; u < units.end; u++)
      each(u, [&](uint32_t row, uint32_t t, uint32_t head) {
        std::memcpy(out.data + size_t(t) * out.width + head * hd, results(units, u) + row * hd, hd * sizeof(float));
      });
  };
  const uint64_t positions = batch.past + batch.n;
  cut(n_runs * spec.n_head_kv * chunks, ws_.result_floats() / (kMaxQueries * hd),
      kFloatCost * 2 * run * at_once * hd * positions, compute, commit);
}

} // namespace slm
