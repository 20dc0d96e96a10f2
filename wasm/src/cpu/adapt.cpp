// adapt.cpp: what the adapters in use add to the products and embeddings of the
// CPU's operations; see ../adapter.h.
#include <algorithm>
#include <cstring>

#include "../adapter.h"
#include "kernels/elementwise.h"
#include "ops.h"

namespace slm {

namespace {
/// Calls f for each adapter of each product, with the product's index and the place of its A x.
template <class F>
void each_lowered(const Workspace &ws, uint32_t n, std::initializer_list<Ops::Product> products, F f) {
  float *lowered = ws.lowered;
  uint32_t index = 0;
  for (const Ops::Product &p : products) {
    for (const Adaptation::Use &use : ws.adapted->uses)
      if (const LowRank *l = use.adapter->find(p.linear.slot); l != nullptr) {
        f(index, *l, use.scale, lowered);
        lowered += size_t(n) * l->a.rows;
      }
    index++;
  }
}
} // namespace

void CpuOps::lower(const float *x, uint32_t n, std::initializer_list<Product> products) {
  uint32_t units = 0;
  each_lowered(ws_, n, products, [&](uint32_t, const LowRank &l, float, float *) { units += l.a.groups(); });
  /// Calls f(A, its groups, where its product stands) for all groups of all A among `of`.
  const auto each = [&](Range of, auto f) {
    uint32_t first = 0;
    each_lowered(ws_, n, products, [&](uint32_t, const LowRank &l, float, float *lowered) {
      const uint32_t own = l.a.groups();
      const uint32_t begin = std::clamp(of.begin, first, first + own) - first;
      const uint32_t end = std::clamp(of.end, first, first + own) - first;
      first += own;
      for (uint32_t g = begin; g < end; g++)
        f(l.a, g, std::min(kRows, l.a.rows - g * kRows), lowered);
    });
  };
  const auto compute = [&](Range of) {
    float *y = own_.results;
    each(of, [&](Matrix a, uint32_t g, uint32_t rows, float *) {
      a.data += g * group_bytes(a);
      a.rows = rows;
      a.kernel->multiply()(a, {x, {}, n}, y, rows, 0, 1, nullptr);
      y += size_t(n) * rows;
    });
  };
  const auto commit = [&](Range of) {
    const float *y = own_.results;
    each(of, [&](const Matrix &a, uint32_t g, uint32_t rows, float *lowered) {
      for (uint32_t t = 0; t < n; t++, y += rows)
        std::memcpy(lowered + size_t(t) * a.rows + g * kRows, y, rows * sizeof(float));
    });
  };
  const uint32_t columns = products.begin()->linear.weight.columns;
  cut(units, ws_.result_floats() / (n * kRows), uint64_t(kRows) * columns * n, compute, commit);
}

namespace {
/// Adds scale * B x to rows `rows` of y (n, y_width), which begins with the first of them; x is (n, r).
void add_raised(const LowRank &l, float scale, const float *x, uint32_t n, Range rows, float *y, uint32_t y_width) {
  // B's products come in tiles, since the kernels store and do not add.
  constexpr uint32_t kTokens = 16, kWidth = 64;
  float tile[kTokens * kWidth];
  for (uint32_t t = 0; t < n; t += kTokens)
    for (uint32_t row = rows.begin; row < rows.end; row += kWidth) {
      const uint32_t tokens = std::min(kTokens, n - t), width = std::min(kWidth, rows.end - row);
      Matrix part = l.b;
      part.data += row / kRows * group_bytes(part);
      part.rows -= row;
      part.kernel->multiply()(part, {x + size_t(t) * part.columns, {}, tokens}, tile, kWidth, 0,
                              (width + kRows - 1) / kRows, nullptr);
      for (uint32_t i = 0; i < tokens; i++) {
        slm::scale(tile + i * kWidth, scale * l.scale, width);
        add(y + size_t(t + i) * y_width + (row - rows.begin), tile + i * kWidth, width);
      }
    }
}
} // namespace

void CpuOps::raise(uint32_t n, std::initializer_list<Product> products, uint32_t index, Range rows, float *y) {
  const uint32_t from = products.begin()[index].linear.from;
  rows = {rows.begin + from, rows.end + from};
  each_lowered(ws_, n, products, [&](uint32_t of, const LowRank &l, float scale, const float *lowered) {
    if (of == index) add_raised(l, scale, lowered, n, rows, y, rows.end - rows.begin);
  });
}

void CpuOps::adapt_embedding(uint32_t id, float *row) {
  for (const Adaptation::Use &use : ws_.adapted->uses)
    if (const LowRank *l = use.adapter->find_embedding(); l != nullptr) {
      l->a.kernel->dequantize(l->a.data + id / 4 * group_bytes(l->a), l->a.columns, id % 4, own_.results);
      add_raised(*l, use.scale, own_.results, 1, {0, l->b.rows}, row, l->b.rows);
    }
}

} // namespace slm
