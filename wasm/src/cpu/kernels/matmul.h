// matmul.h: products of packed weights with activations, for every tensor type.
// Owns the packed groups, the quantized activations and the table of kernels.
// Knows nothing of layers or threads: a caller says which rows to compute.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../matrix.h"

namespace slm {

/// How a kernel wants its activations: as they are, or quantized with a scale
/// per 32 columns to int8 (as ggml's Q8_0) or to int16.
enum class Rounding : uint8_t { None = 0, Bytes = 1, Words = 2 };

/// Quantized activations; only the parts that were asked for hold something.
/// Rounding adds at most half a scale to each element: 1/254 of the largest of
/// 32 for bytes, 1/65,534 for words.
struct QuantizedRows {
  int8_t *q;          // (n_tokens, columns)
  float *scale;       // (n_tokens, columns / 32)
  float *sum32;       // (n_tokens, columns / 32)  scale * the sum of 32 q
  float *sum16;       // (n_tokens, columns / 16)  scale * the sum of 16 q
  int16_t *words;     // (n_tokens, columns)
  float *words_scale; // (n_tokens, columns / 32)
  uint32_t columns;   // a multiple of 32
};

/// Bytes that QuantizedRows needs for `n` tokens.
uint64_t quantized_rows_bytes(uint32_t n, uint32_t columns);
/// Lays the arrays out in `memory` (aligned to 16).
QuantizedRows quantized_rows_at(void *memory, uint32_t n, uint32_t columns);
/// Quantizes tokens [begin, end) of x (float32, n_tokens x columns); `roundings`
/// is what is wanted, or-ed together.
void quantize_rows(const float *x, QuantizedRows &out, uint32_t begin, uint32_t end, uint32_t roundings);

/// What a kernel multiplies with; which part is read, its rounding says.
struct Activations {
  const float *f32; // (n_tokens, columns)
  QuantizedRows quantized;
  uint32_t n_tokens;
};

/// The forms of integer dot product in this build; see slm_dot_bench. They give
/// the same sums from the same packed weights, so another can be selected at any
/// time between two products.
#ifdef __wasm_relaxed_simd__
inline constexpr int kDotForms = 2;
#else
inline constexpr int kDotForms = 1;
#endif
const char *dot_name(int i);
int dot_selected();
void dot_select(int i);

/// Bytes of a packed group of four rows.
size_t group_bytes(const Matrix &w);

/// One row of the kernel table: a tensor type and what can be done with it.
struct MatmulKernel {
  TensorType type;
  Rounding rounding;       // of the activations that it reads
  uint32_t columns, bytes; // of one packed block of four rows
  uint32_t file_bytes;     // of one GGUF block

  /// Packs four rows of GGUF blocks (missing rows: pointers to zeros).
  void (*pack)(const uint8_t *const (&rows)[4], uint32_t columns, uint8_t *out);
  /// Dequantizes row `row` (0 to 3) of a group into out (columns).
  void (*dequantize)(const uint8_t *group, uint32_t columns, uint32_t row, float *out);
  using Multiply = void(const Matrix &w, const Activations &x, float *y, size_t y_stride, uint32_t begin, uint32_t end,
                        uint8_t *scratch);
  Multiply *forms[kDotForms]; // by form of the integer dot product

  /// y[t * y_stride + r] for the rows of groups [begin, end) and all tokens, by
  /// the form in use. `scratch` holds matmul_scratch_bytes(columns).
  Multiply &multiply() const;
};

const MatmulKernel *matmul_kernel(TensorType type);
/// Bytes of scratch that multiply() needs for matrices of up to `columns`.
size_t matmul_scratch_bytes(uint32_t columns);

} // namespace slm
