// matmul.cpp: the matrix kernels. One tile template serves every quantized
// type, directly (one token: the weights are read once, memory is the limit)
// and through panels (many tokens: eight rows are unpacked to bytes that stay
// in L1, then used for all tokens: the dot product is the limit).
#include "matmul.h"

#include <utility>

#include "dot.h"
#include "formats.h"

namespace slm {
namespace {

using namespace simd;
using namespace formats;

/// Calls f with 0, 1, ... N-1 as compile-time constants.
template <int N, class F> inline __attribute__((always_inline)) void unroll(F f) {
  [&]<int... I>(std::integer_sequence<int, I...>) __attribute__((always_inline)) {
    (f(std::integral_constant<int, I>{}), ...);
  }(std::make_integer_sequence<int, N>{});
}

/// Rows of up to four outputs: the last group of a matrix can be short.
inline void store_rows(float *y, v128 v, uint32_t n) {
  if (n >= kRows) return store(y, v);
  float rows[kRows];
  store(rows, v);
  std::memcpy(y, rows, n * sizeof(float));
}

/// The tile: Groups x 4 rows times Tokens tokens over `n_blocks` blocks of W.
/// `w` is the first group, the next one lies `group_stride` bytes on. Sums are
/// kept as f32 per lane; per sub-block: y += (scale * sum) * x_scale + min * x_sum.
template <class W, class Dot, int Groups, int Tokens>
inline __attribute__((always_inline)) void tile(const uint8_t *w, size_t group_stride, uint32_t n_blocks,
                                                const QuantizedRows &x, uint32_t token, v128 (&y)[Groups][Tokens]) {
  constexpr uint32_t subs = W::columns / W::sub;
  // One running pointer per stream: the compiler folds constant offsets from a
  // pointer into the load, but not sums of an index and a constant.
  const uint8_t *group[Groups];
  const int8_t *xq[Tokens];
  const float *x_scale[Tokens], *x_sum[Tokens];
  for (int g = 0; g < Groups; g++)
    group[g] = w + g * group_stride;
  for (int t = 0; t < Tokens; t++) {
    xq[t] = x.q + size_t(token + t) * x.columns;
    x_scale[t] = x.scale + size_t(token + t) * (x.columns / 32);
    x_sum[t] = (W::sub == 32 ? x.sum32 : x.sum16) + size_t(token + t) * (x.columns / W::sub);
  }
  for (int g = 0; g < Groups; g++)
    for (int t = 0; t < Tokens; t++)
      y[g][t] = zero();

  for (uint32_t b = 0; b < n_blocks; b++) {
    unroll<subs>([&](auto s) __attribute__((always_inline)) {
      constexpr int S = decltype(s)::value;
      typename Dot::template Sum<W::max_q> sum[Groups][Tokens][W::planes];
      unroll<W::sub / 4>([&](auto step) __attribute__((always_inline)) {
        constexpr int T = decltype(step)::value;
        v128 q[Groups][W::planes];
        for (int g = 0; g < Groups; g++)
          W::template step<S, T>(group[g], q[g]);
        for (int t = 0; t < Tokens; t++) {
          const v128 xv = load32_splat(xq[t] + (S * W::sub + T * 4));
          for (int g = 0; g < Groups; g++)
            for (int p = 0; p < W::planes; p++) {
              sum[g][t][p].add(xv, q[g][p]);
              sum[g][t][p].template flush<T>();
            }
        }
      });
      for (int g = 0; g < Groups; g++) {
        const typename W::Scales scales(group[g]);
        const v128 scale = scales.template scale<S>(), min = scales.template min<S>();
        for (int t = 0; t < Tokens; t++) {
          v128 total = sum[g][t][0].total();
          if constexpr (W::planes == 2) total = add_i32(total, shl32(sum[g][t][1].total(), 4));
          const v128 xs = load32_splat(x_scale[t] + S * W::sub / 32);
          y[g][t] = madd_f32(mul_f32(to_f32(total), scale), xs, y[g][t]);
          y[g][t] = madd_f32(min, load32_splat(x_sum[t] + S), y[g][t]);
        }
      }
    });
    for (int g = 0; g < Groups; g++)
      group[g] += W::bytes;
    for (int t = 0; t < Tokens; t++) {
      xq[t] += W::columns;
      x_scale[t] += W::columns / 32;
      x_sum[t] += subs;
    }
  }
}

/// Unpacks one group into a panel.
template <class W> void unpack(const uint8_t *group, uint32_t columns, uint8_t *panel) {
  using P = PanelOf<W>;
  for (uint32_t c = 0; c < columns; c += W::columns, group += W::bytes)
    unroll<W::columns / W::sub>([&](auto s) {
      constexpr int S = decltype(s)::value;
      unroll<W::sub / 4>([&](auto step) {
        constexpr int T = decltype(step)::value;
        v128 q[W::planes];
        W::template step<S, T>(group, q);
        for (int p = 0; p < W::planes; p++)
          store(panel + (T * W::planes + p) * 16, q[p]);
      });
      const typename W::Scales scales(group);
      store(panel + P::scales, scales.template scale<S>());
      store(panel + P::scales + 16, scales.template min<S>());
      panel += P::sub_bytes;
    });
}

// The tile of a panel: two groups of rows, two tokens. Larger tiles load less
// per product, but their sums no longer fit the sixteen registers of x86, and
// measured no faster.
constexpr int kPanelGroups = 2, kTileTokens = 2;

/// All tokens times the groups in a panel; `n_rows` of their rows are stored.
template <class P, class Dot>
__attribute__((noinline)) void multiply_panel(const uint8_t *panel, size_t group_stride, uint32_t columns,
                                              const QuantizedRows &x, uint32_t n_tokens, float *y, size_t y_stride,
                                              uint32_t n_rows) {
  const auto run = [&]<int Tokens>(uint32_t token, std::integral_constant<int, Tokens>) {
    v128 out[kPanelGroups][Tokens];
    tile<P, Dot, kPanelGroups, Tokens>(panel, group_stride, columns / P::columns, x, token, out);
    for (int t = 0; t < Tokens; t++)
      for (uint32_t g = 0; g * kRows < n_rows; g++)
        store_rows(y + (token + t) * y_stride + g * kRows, out[g][t], n_rows - g * kRows);
  };
  uint32_t token = 0;
  for (; token + kTileTokens <= n_tokens; token += kTileTokens)
    run(token, std::integral_constant<int, kTileTokens>{});
  for (; token < n_tokens; token++)
    run(token, std::integral_constant<int, 1>{});
}

template <class W, class Dot>
__attribute__((noinline)) void multiply_one(const Matrix &w, const Activations &x, float *y, uint32_t begin,
                                            uint32_t end) {
  const size_t stride = w.columns / W::columns * size_t(W::bytes);
  const uint8_t *group = w.data + begin * stride;
  for (uint32_t g = begin; g < end; g++, group += stride) {
    v128 out[1][1];
    tile<W, Dot, 1, 1>(group, stride, w.columns / W::columns, x.quantized, 0, out);
    store_rows(y + g * kRows, out[0][0], w.rows - g * kRows);
  }
}

template <class W, class Dot>
void multiply(const Matrix &w, const Activations &x, float *y, size_t y_stride, uint32_t begin, uint32_t end,
              uint8_t *scratch) {
  if (x.n_tokens == 1) return multiply_one<W, Dot>(w, x, y, begin, end);
  using P = PanelOf<W>;
  const size_t stride = w.group_bytes(), panel_stride = w.columns / P::columns * size_t(P::bytes);
  for (uint32_t g = begin; g < end; g += kPanelGroups) {
    // Where groups are missing the panel's old bytes are multiplied and dropped.
    const uint32_t n = end - g < kPanelGroups ? end - g : kPanelGroups;
    for (uint32_t i = 0; i < n; i++)
      unpack<W>(w.data + (g + i) * stride, w.columns, scratch + i * panel_stride);
    const uint32_t rows_left = w.rows - g * kRows;
    multiply_panel<P, Dot>(scratch, panel_stride, w.columns, x.quantized, x.n_tokens, y + g * kRows, y_stride,
                           rows_left < n * kRows ? rows_left : n * kRows);
  }
}

/// Reads a row back through the same unpacking that the products use.
template <class W> void dequantize(const uint8_t *group, uint32_t columns, uint32_t row, float *out) {
  using P = PanelOf<W>;
  alignas(16) uint8_t panel[W::columns / P::columns * P::bytes];
  for (uint32_t c = 0; c < columns; c += W::columns, group += W::bytes) {
    unpack<W>(group, W::columns, panel);
    for (uint32_t s = 0; s < W::columns / W::sub; s++) {
      const uint8_t *p = panel + s * P::sub_bytes;
      float scale, min;
      std::memcpy(&scale, p + P::scales + row * 4, 4);
      std::memcpy(&min, p + P::scales + 16 + row * 4, 4);
      for (uint32_t i = 0; i < W::sub; i++) {
        const uint8_t *q = p + (i / 4 * W::planes) * 16 + row * 4 + i % 4;
        const int value = W::planes == 2 ? q[0] + 16 * q[16] : q[0];
        *out++ = scale * float(value) + min;
      }
    }
  }
}

template <class W> void pack(const uint8_t *const (&rows)[4], uint32_t columns, uint8_t *out) {
  const uint8_t *at[4] = {rows[0], rows[1], rows[2], rows[3]};
  for (uint32_t c = 0; c < columns; c += W::columns, out += W::bytes) {
    W::pack(at, out);
    for (const uint8_t *&p : at)
      p += W::file_bytes;
  }
}

// ---- F32, F16, BF16: float weights, float activations ------------------------------

struct F32 {
  static constexpr uint32_t size = 4;
  static v128 load4(const uint8_t *p) { return load(p); }
};
struct F16 {
  static constexpr uint32_t size = 2;
  static v128 load4(const uint8_t *p) { return load_f16x4(p); }
};
struct BF16 {
  static constexpr uint32_t size = 2;
  static v128 load4(const uint8_t *p) { return load_bf16x4(p); }
};

template <class W, int Tokens>
inline void float_tile(const uint8_t *w, uint32_t columns, const float *x, v128 (&y)[Tokens]) {
  // Two chains per token hide the latency of the addition.
  v128 even[Tokens], odd[Tokens];
  for (int t = 0; t < Tokens; t++)
    even[t] = odd[t] = zero();
  uint32_t c = 0;
  for (; c + 2 <= columns; c += 2, w += 8 * W::size) {
    const v128 w0 = W::load4(w), w1 = W::load4(w + 4 * W::size);
    for (int t = 0; t < Tokens; t++) {
      even[t] = madd_f32(w0, load32_splat(x + size_t(t) * columns + c), even[t]);
      odd[t] = madd_f32(w1, load32_splat(x + size_t(t) * columns + c + 1), odd[t]);
    }
  }
  if (c < columns)
    for (int t = 0; t < Tokens; t++)
      even[t] = madd_f32(W::load4(w), load32_splat(x + size_t(t) * columns + c), even[t]);
  for (int t = 0; t < Tokens; t++)
    y[t] = add_f32(even[t], odd[t]);
}

template <class W>
void multiply_float(const Matrix &w, const Activations &x, float *y, size_t y_stride, uint32_t begin, uint32_t end,
                    uint8_t *) {
  const size_t stride = w.group_bytes();
  for (uint32_t g = begin; g < end; g++) {
    const uint8_t *group = w.data + g * stride;
    const auto run = [&]<int Tokens>(uint32_t token, std::integral_constant<int, Tokens>) {
      v128 out[Tokens];
      float_tile<W, Tokens>(group, w.columns, x.f32 + size_t(token) * w.columns, out);
      for (int t = 0; t < Tokens; t++)
        store_rows(y + (token + t) * y_stride + g * kRows, out[t], w.rows - g * kRows);
    };
    uint32_t token = 0;
    for (; token + 4 <= x.n_tokens; token += 4)
      run(token, std::integral_constant<int, 4>{});
    for (; token < x.n_tokens; token++)
      run(token, std::integral_constant<int, 1>{});
  }
}

template <class W> void dequantize_float(const uint8_t *group, uint32_t columns, uint32_t row, float *out) {
  float four[4];
  for (uint32_t c = 0; c < columns; c++) {
    store(four, W::load4(group + size_t(c) * 4 * W::size));
    out[c] = four[row];
  }
}

template <class W> void pack_float(const uint8_t *const (&rows)[4], uint32_t columns, uint8_t *out) {
  for (uint32_t c = 0; c < columns; c++)
    for (uint32_t r = 0; r < 4; r++, out += W::size)
      std::memcpy(out, rows[r] + c * W::size, W::size);
}

// ---- the table ------------------------------------------------------------------------

template <class W, class Dot> constexpr MatmulKernel quantized(TensorType type) {
  static_assert(W::sub % (4 * 2) == 0 && W::columns % W::sub == 0);
  return {type, true, W::columns, W::bytes, W::file_bytes, pack<W>, dequantize<W>, multiply<W, Dot>};
}
template <class W> constexpr MatmulKernel plain(TensorType type) {
  return {type, false, 1, 4 * W::size, W::size, pack_float<W>, dequantize_float<W>, multiply_float<W>};
}

constexpr int kTypes = sizeof(kTensorTypes) / sizeof(kTensorTypes[0]);

template <class Dot> struct Table {
  static constexpr const char *name = Dot::name;
  static constexpr MatmulKernel kernels[kTypes] = {
      plain<F32>(TensorType::F32),
      plain<F16>(TensorType::F16),
      plain<BF16>(TensorType::BF16),
      quantized<Q4_0, Dot>(TensorType::Q4_0),
      quantized<Q4_1, Dot>(TensorType::Q4_1),
      quantized<Q5_0, Dot>(TensorType::Q5_0),
      quantized<Q5_1, Dot>(TensorType::Q5_1),
      quantized<Q8_0, Dot>(TensorType::Q8_0),
      quantized<Q2_K, Dot>(TensorType::Q2_K),
      quantized<Q3_K, Dot>(TensorType::Q3_K),
      quantized<Q4_K, Dot>(TensorType::Q4_K),
      quantized<Q5_K, Dot>(TensorType::Q5_K),
      quantized<Q6_K, Dot>(TensorType::Q6_K),
      quantized<IQ4_NL, Dot>(TensorType::IQ4_NL),
  };
};

struct Form {
  const char *name;
  const MatmulKernel *kernels;
};
constexpr Form kForms[] = {
#ifdef __wasm_relaxed_simd__
    {dot::RelaxedI32::name, Table<dot::RelaxedI32>::kernels},
    {dot::RelaxedI16::name, Table<dot::RelaxedI16>::kernels},
#else
    {dot::Widen::name, Table<dot::Widen>::kernels},
#endif
};
int selected = 0;

} // namespace

size_t Matrix::group_bytes() const { return size_t(columns) / kernel->columns * kernel->bytes; }

const MatmulKernel *matmul_kernel(TensorType type) {
  for (int i = 0; i < kTypes; i++)
    if (kForms[selected].kernels[i].type == type) return &kForms[selected].kernels[i];
  return nullptr;
}

size_t matmul_scratch_bytes(uint32_t columns) {
  return (size_t(columns) + 31) / 32 * PanelOf<Q8_0>::bytes * kPanelGroups; // 8-bit panels are the largest
}

int dot_count() { return sizeof(kForms) / sizeof(kForms[0]); }
const char *dot_name(int i) { return kForms[i].name; }
int dot_selected() { return selected; }
void dot_select(int i) { selected = i; }

// ---- activations ------------------------------------------------------------------------

namespace {
uint64_t align16(uint64_t n) { return (n + 15) & ~uint64_t(15); }
} // namespace

uint64_t quantized_rows_bytes(uint32_t n, uint32_t columns) {
  const uint64_t blocks = uint64_t(n) * (columns / 32);
  return align16(blocks * 32) + 2 * align16(blocks * 4) + align16(blocks * 8);
}

QuantizedRows quantized_rows_at(void *memory, uint32_t n, uint32_t columns) {
  const size_t blocks = size_t(n) * (columns / 32);
  uint8_t *p = static_cast<uint8_t *>(memory);
  QuantizedRows rows{};
  rows.columns = columns;
  rows.q = reinterpret_cast<int8_t *>(p);
  rows.scale = reinterpret_cast<float *>(p += align16(blocks * 32));
  rows.sum32 = reinterpret_cast<float *>(p += align16(blocks * 4));
  rows.sum16 = reinterpret_cast<float *>(p + align16(blocks * 4));
  return rows;
}

void quantize_rows(const float *x, QuantizedRows &out, uint32_t begin, uint32_t end) {
  const size_t per_token = out.columns / 32;
  for (size_t b = begin * per_token; b < end * per_token; b++) {
    const float *in = x + b * 32;
    v128 v[8], largest = zero();
    for (int i = 0; i < 8; i++) {
      v[i] = load(in + i * 4);
      largest = max_f32(largest, abs_f32(v[i]));
    }
    const float max = reduce_max_f32(largest), inverse = max > 0 ? 127 / max : 0;
    for (v128 &part : v)
      part = to_i32(nearest_f32(mul_f32(part, splat_f32(inverse))));
    store(out.q + b * 32, narrow_i32_to_i8(v[0], v[1], v[2], v[3]));
    store(out.q + b * 32 + 16, narrow_i32_to_i8(v[4], v[5], v[6], v[7]));
    const float scale = max / 127;
    const float first = scale * sum_f32(to_f32(add_i32(add_i32(v[0], v[1]), add_i32(v[2], v[3]))));
    const float second = scale * sum_f32(to_f32(add_i32(add_i32(v[4], v[5]), add_i32(v[6], v[7]))));
    out.scale[b] = scale;
    out.sum16[b * 2] = first;
    out.sum16[b * 2 + 1] = second;
    out.sum32[b] = first + second;
  }
}

} // namespace slm
