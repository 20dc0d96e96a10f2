// matmul.cpp: the matrix kernels. One tile template serves every quantized
// type, directly (one token: the weights are read once, memory is the limit)
// and through panels (many tokens: eight rows are unpacked to bytes that stay
// in L1, then used for all tokens: the dot product is the limit).
#include "matmul.h"

#include <type_traits>
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

/// Four activations from column `C` on, repeated to fill a vector. Alone, a
/// token's are loaded a vector at a time: V8 computes the address of each
/// repeating load apart. With more tokens the shuffles would cost more.
template <int C, bool Alone> inline v128 repeated(const int8_t *x) {
  return Alone ? splat_lane<C / 4 % 4>(load(x + C / 16 * 16)) : load32_splat(x + C);
}
template <int C, bool Alone> inline v128 repeated(const int16_t *x) {
  return Alone ? splat_half<C / 4 % 2>(load(x + C / 8 * 8)) : load64_splat(x + C);
}

/// What a format's step gives.
template <class W> using Weights = std::conditional_t<is_signed<W>, v128[2], v128>;

/// The tile: Groups x 4 rows times Tokens tokens over `n_blocks` blocks of W.
/// `w` is the first group, the next one lies `group_stride` bytes on. Sums are
/// kept as f32 per lane; per sub-block: y += (scale * sum) * x_scale + min * x_sum.
template <class W, class Dot, int Groups, int Tokens>
inline __attribute__((always_inline)) void tile(const uint8_t *w, size_t group_stride, uint32_t n_blocks,
                                                const QuantizedRows &x, uint32_t token, v128 (&y)[Groups][Tokens]) {
  constexpr uint32_t subs = W::columns / W::parts / W::sub;
  const Constants constants;
  // One running pointer per stream: the compiler folds constant offsets from a
  // pointer into the load, but not sums of an index and a constant.
  const uint8_t *group[Groups];
  using X = std::conditional_t<is_signed<W>, int16_t, int8_t>;
  const X *xq[Tokens];
  const float *x_scale[Tokens], *x_sum[Tokens];
  for (int g = 0; g < Groups; g++)
    group[g] = w + g * group_stride;
  for (int t = 0; t < Tokens; t++) {
    if constexpr (is_signed<W>)
      xq[t] = x.words;
    else
      xq[t] = x.q;
    xq[t] += size_t(token + t) * x.columns;
    x_scale[t] = (is_signed<W> ? x.words_scale : x.scale) + size_t(token + t) * (x.columns / 32);
    x_sum[t] = (W::sub == 32 ? x.sum32 : x.sum16) + size_t(token + t) * (x.columns / W::sub);
  }
  for (int g = 0; g < Groups; g++)
    for (int t = 0; t < Tokens; t++)
      y[g][t] = zero();

  const uint8_t *block[Groups];
  for (uint32_t b = 0; b < n_blocks; b++) {
    for (int g = 0; g < Groups; g++)
      block[g] = group[g];
    for (uint32_t part = 0; part < W::parts; part++) {
      for (const uint8_t *&p : group)
        pin(p);
      for (int t = 0; t < Tokens; t++) {
        pin(xq[t]);
        pin(x_scale[t]);
        pin(x_sum[t]);
      }
      unroll<subs>([&](auto s) __attribute__((always_inline)) {
        constexpr int S = decltype(s)::value;
        typename Dot::template Sum<W::max_q, W::sub / 4> sum[Groups][Tokens];
        unroll<W::sub / 4>([&](auto step) __attribute__((always_inline)) {
          constexpr int T = decltype(step)::value;
          Weights<W> q[Groups];
          for (int g = 0; g < Groups; g++)
            W::template step<S, T>(group[g], constants, q[g]);
          for (int t = 0; t < Tokens; t++) {
            const v128 xv = repeated<S * W::sub + T * 4, Tokens == 1>(xq[t]);
            for (int g = 0; g < Groups; g++) {
              sum[g][t].add(xv, q[g]);
              sum[g][t].template flush<T>();
            }
          }
        });
        for (int g = 0; g < Groups; g++) {
          const typename W::Scales scales(group[g], block[g], constants);
          const v128 scale = scales.template scale<S>();
          for (int t = 0; t < Tokens; t++) {
            const v128 xs = load32_splat(x_scale[t] + S * W::sub / 32);
            y[g][t] = madd_f32(mul_f32(to_f32(sum[g][t].total()), scale), xs, y[g][t]);
            if constexpr (!is_signed<W>)
              y[g][t] = madd_f32(scales.template min<S>(), load32_splat(x_sum[t] + S), y[g][t]);
          }
        }
      });
      for (int g = 0; g < Groups; g++)
        group[g] += W::part_bytes;
      for (int t = 0; t < Tokens; t++) {
        xq[t] += W::columns / W::parts;
        x_scale[t] += W::columns / W::parts / 32;
        x_sum[t] += subs;
      }
    }
    for (int g = 0; g < Groups; g++)
      group[g] = block[g] + W::bytes;
  }
}

/// Unpacks one group into a panel.
template <class W> void unpack(const uint8_t *group, uint32_t columns, uint8_t *panel) {
  using P = PanelOf<W>;
  const Constants constants;
  for (const uint8_t *end = group + columns / W::columns * W::bytes; group < end; group += W::bytes)
    for (uint32_t i = 0; i < W::parts; i++)
      unroll<W::columns / W::parts / W::sub>([&](auto s) {
        constexpr int S = decltype(s)::value;
        const uint8_t *part = group + i * W::part_bytes;
        unroll<W::sub / 4>([&](auto step) {
          constexpr int T = decltype(step)::value;
          Weights<W> q;
          W::template step<S, T>(part, constants, q);
          if constexpr (is_signed<W>) {
            store(panel + T * 32, q[0]);
            store(panel + T * 32 + 16, q[1]);
          } else {
            store(panel + T * 16, q);
          }
        });
        const typename W::Scales scales(part, group, constants);
        store(panel + P::scales, scales.template scale<S>());
        if constexpr (!is_signed<W>) store(panel + P::scales + 16, scales.template min<S>());
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

/// One token, a group at a time: two at once would share the loads of the
/// activations, but then memory is read in two streams, which made it 0.65 times
/// as fast.
template <class W, class Dot>
__attribute__((noinline)) void multiply_one(const Matrix &w, const Activations &x, float *y, uint32_t begin,
                                            uint32_t end) {
  const size_t stride = group_bytes(w);
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
  const size_t stride = group_bytes(w), panel_stride = w.columns / P::columns * size_t(P::bytes);
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
      float scale, min = 0;
      std::memcpy(&scale, p + P::scales + row * 4, 4);
      if constexpr (!is_signed<W>) std::memcpy(&min, p + P::scales + 16 + row * 4, 4);
      for (uint32_t i = 0; i < W::sub; i++) {
        const uint32_t at = i / 4 * 16 + row * 4 + i % 4;
        int16_t q = p[at];
        if constexpr (is_signed<W>) std::memcpy(&q, p + at * 2, 2);
        *out++ = scale * float(q) + min;
      }
    }
  }
}

/// `W` by what it reads from a file.
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
  static v128 load4(const uint8_t *p) { return load_f16x4(p, {}); }
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
  const size_t stride = group_bytes(w);
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

/// The dot product of two vectors, in two chains of four lanes.
inline float dot_exact(const float *a, const float *b, uint32_t n) {
  v128 even = zero(), odd = zero();
  uint32_t i = 0;
  for (; i + 8 <= n; i += 8) {
    even = add_f32(even, mul_f32(load(a + i), load(b + i)));
    odd = add_f32(odd, mul_f32(load(a + i + 4), load(b + i + 4)));
  }
  float sum = sum_f32(add_f32(even, odd));
  for (; i < n; i++)
    sum += a[i] * b[i];
  return sum;
}

// ---- the table ------------------------------------------------------------------------

template <class... Dot> struct FormList {
  static constexpr const char *names[] = {Dot::name...};
  template <class W, class File = W> static constexpr MatmulKernel quantized(TensorType type) {
    static_assert(W::sub % (4 * 2) == 0 && W::columns % W::sub == 0);
    return {type,
            is_signed<W> ? Rounding::Words : Rounding::Bytes,
            W::columns,
            W::bytes,
            File::file_bytes,
            pack<File>,
            dequantize<W>,
            {multiply<W, std::conditional_t<is_signed<W>, dot::Signed, Dot>>...}};
  }
  /// One of those that are packed alike.
  template <TensorType Type> static constexpr MatmulKernel indexed() {
    return quantized<Indexed, IndexedFile<Type, tensor_type_info(static_cast<uint32_t>(Type))->block_bytes>>(Type);
  }
  template <class W> static constexpr MatmulKernel plain(TensorType type) {
    return {type,
            Rounding::None,
            1,
            4 * W::size,
            W::size,
            pack_float<W>,
            dequantize_float<W>,
            {(static_cast<void>(Dot::name), multiply_float<W>)...}}; // the same in every form
  }
};
#ifdef __wasm_relaxed_simd__
using Forms = FormList<dot::RelaxedI32, dot::RelaxedI16>;
#else
using Forms = FormList<dot::Widen>;
#endif
static_assert(sizeof(Forms::names) / sizeof(Forms::names[0]) == kDotForms);

constexpr MatmulKernel kKernels[] = {
    Forms::plain<F32>(TensorType::F32),         Forms::plain<F16>(TensorType::F16),
    Forms::plain<BF16>(TensorType::BF16),       Forms::quantized<Q4_0>(TensorType::Q4_0),
    Forms::quantized<Q4_1>(TensorType::Q4_1),   Forms::quantized<Q5_0>(TensorType::Q5_0),
    Forms::quantized<Q5_1>(TensorType::Q5_1),   Forms::quantized<Q8_0>(TensorType::Q8_0),
    Forms::quantized<Q2_K>(TensorType::Q2_K),   Forms::quantized<Q3_K>(TensorType::Q3_K),
    Forms::quantized<Q4_K>(TensorType::Q4_K),   Forms::quantized<Q5_K>(TensorType::Q5_K),
    Forms::quantized<Q6_K>(TensorType::Q6_K),   Forms::quantized<IQ4_NL>(TensorType::IQ4_NL),
    Forms::indexed<TensorType::IQ4_XS>(),       Forms::indexed<TensorType::IQ3_S>(),
    Forms::indexed<TensorType::IQ3_XXS>(),      Forms::indexed<TensorType::IQ2_S>(),
    Forms::indexed<TensorType::IQ2_XS>(),       Forms::indexed<TensorType::IQ2_XXS>(),
    Forms::indexed<TensorType::IQ1_M>(),        Forms::indexed<TensorType::IQ1_S>(),
    Forms::indexed<TensorType::TQ2_0>(),        Forms::indexed<TensorType::TQ1_0>(),
    Forms::quantized<MXFP4>(TensorType::MXFP4), Forms::quantized<Q1_0>(TensorType::Q1_0),
};
static_assert(sizeof(kKernels) / sizeof(kKernels[0]) == sizeof(kTensorTypes) / sizeof(kTensorTypes[0]));

int selected = 0;

} // namespace

MatmulKernel::Multiply &MatmulKernel::multiply() const { return *forms[selected]; }

size_t group_bytes(const Matrix &w) { return size_t(w.columns) / w.kernel->columns * w.kernel->bytes; }

const MatmulKernel *matmul_kernel(TensorType type) {
  for (const MatmulKernel &kernel : kKernels)
    if (kernel.type == type) return &kernel;
  return nullptr;
}

void multiply_exact(const Matrix &w, const Activations &x, float *y, size_t y_stride, uint32_t begin, uint32_t end,
                    uint8_t *scratch) {
  float *row = reinterpret_cast<float *>(scratch);
  for (uint32_t r = begin * kRows; r < end * kRows && r < w.rows; r++) {
    w.kernel->dequantize(w.data + r / kRows * group_bytes(w), w.columns, r % kRows, row);
    for (uint32_t t = 0; t < x.n_tokens; t++)
      y[t * y_stride + r] = dot_exact(row, x.f32 + size_t(t) * w.columns, w.columns);
  }
}

size_t matmul_scratch_bytes(uint32_t columns) {
  return (size_t(columns) + 31) / 32 * PanelOf<Indexed>::bytes * kPanelGroups; // the largest
}

const char *dot_name(int i) { return Forms::names[i]; }
int dot_selected() { return selected; }
void dot_select(int i) { selected = i; }

// ---- activations ------------------------------------------------------------------------

namespace {
uint64_t align16(uint64_t n) { return (n + 15) & ~uint64_t(15); }
} // namespace

uint64_t quantized_rows_bytes(uint32_t n, uint32_t columns) {
  const uint64_t blocks = uint64_t(n) * (columns / 32);
  return align16(blocks * 32) + 3 * align16(blocks * 4) + align16(blocks * 8) + align16(blocks * 64);
}

QuantizedRows quantized_rows_at(void *memory, uint32_t n, uint32_t columns) {
  const size_t blocks = size_t(n) * (columns / 32);
  uint8_t *p = static_cast<uint8_t *>(memory);
  QuantizedRows rows{};
  rows.columns = columns;
  rows.q = reinterpret_cast<int8_t *>(p);
  rows.scale = reinterpret_cast<float *>(p += align16(blocks * 32));
  rows.sum32 = reinterpret_cast<float *>(p += align16(blocks * 4));
  rows.sum16 = reinterpret_cast<float *>(p += align16(blocks * 4));
  rows.words = reinterpret_cast<int16_t *>(p += align16(blocks * 8));
  rows.words_scale = reinterpret_cast<float *>(p + align16(blocks * 64));
  return rows;
}

void quantize_rows(const float *x, QuantizedRows &out, uint32_t begin, uint32_t end, uint32_t roundings) {
  const size_t per_token = out.columns / 32;
  for (size_t b = begin * per_token; b < end * per_token; b++) {
    const float *in = x + b * 32;
    v128 largest = zero();
    for (int i = 0; i < 32; i += 4)
      largest = max_f32(largest, abs_f32(load(in + i)));
    const float max = reduce_max_f32(largest);
    v128 v[8];
    /// Rounds to integers of at most `limit`; returns the scale.
    const auto round = [&](float limit) {
      const v128 inverse = splat_f32(max > 0 ? limit / max : 0);
      for (int i = 0; i < 8; i++)
        v[i] = to_i32(nearest_f32(mul_f32(load(in + i * 4), inverse)));
      return max / limit;
    };
    if (roundings & uint32_t(Rounding::Words)) {
      out.words_scale[b] = round(32767);
      for (int i = 0; i < 4; i++)
        store(out.words + b * 32 + i * 8, narrow_i32_to_i16(v[i * 2], v[i * 2 + 1]));
    }
    if (roundings & uint32_t(Rounding::Bytes)) {
      const float scale = round(127);
      store(out.q + b * 32, narrow_i32_to_i8(v[0], v[1], v[2], v[3]));
      store(out.q + b * 32 + 16, narrow_i32_to_i8(v[4], v[5], v[6], v[7]));
      const float first = scale * sum_f32(to_f32(add_i32(add_i32(v[0], v[1]), add_i32(v[2], v[3]))));
      const float second = scale * sum_f32(to_f32(add_i32(add_i32(v[4], v[5]), add_i32(v[6], v[7]))));
      out.scale[b] = scale;
      out.sum16[b * 2] = first;
      out.sum16[b * 2 + 1] = second;
      out.sum32[b] = first + second;
    }
  }
}

} // namespace slm
