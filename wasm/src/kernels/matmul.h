// matmul.h: products of packed weights with activations, for every tensor type.
// Owns the packed matrix, the quantized activations and the table of kernels.
// Knows nothing of layers or threads: a caller says which rows to compute.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../generated/tensor_type.h"

namespace slm {

inline constexpr uint32_t kRows = 4; // rows of a packed group

/// Activations in 8 bits, with a scale per 32 columns (as ggml's Q8_0, but the
/// scale is float32). Rounding adds at most scale / 2 to each element.
struct QuantizedRows {
  int8_t *q;        // (n_tokens, columns)
  float *scale;     // (n_tokens, columns / 32)
  float *sum32;     // (n_tokens, columns / 32)  scale * the sum of 32 q
  float *sum16;     // (n_tokens, columns / 16)  scale * the sum of 16 q
  uint32_t columns; // a multiple of 32
};

/// Bytes that QuantizedRows needs for `n` tokens.
uint64_t quantized_rows_bytes(uint32_t n, uint32_t columns);
/// Lays the arrays out in `memory` (aligned to 16).
QuantizedRows quantized_rows_at(void *memory, uint32_t n, uint32_t columns);
/// Quantizes tokens [begin, end) of x (float32, n_tokens x columns).
void quantize_rows(const float *x, QuantizedRows &out, uint32_t begin, uint32_t end);

/// What a kernel multiplies with; only one of the two is read, by type.
struct Activations {
  const float *f32; // (n_tokens, columns)
  QuantizedRows quantized;
  uint32_t n_tokens;
};

struct MatmulKernel;

/// Weights of (rows, columns) in the packed layout: groups of four rows.
struct Matrix {
  const MatmulKernel *kernel = nullptr;
  uint8_t *data = nullptr;
  uint32_t rows = 0, columns = 0;
  float *input_squares = nullptr; // (columns + 1), see Ops::collect; null unless collecting

  uint32_t groups() const { return (rows + 3) / 4; }
  size_t group_bytes() const;
  uint64_t bytes() const { return uint64_t(groups()) * group_bytes(); }
};

/// One row of the kernel table: a tensor type and what can be done with it.
struct MatmulKernel {
  TensorType type;
  bool quantized;          // reads Activations::quantized, else f32
  uint32_t columns, bytes; // of one packed block of four rows
  uint32_t file_bytes;     // of one GGUF block

  /// Packs four rows of GGUF blocks (missing rows: pointers to zeros).
  void (*pack)(const uint8_t *const (&rows)[4], uint32_t columns, uint8_t *out);
  /// Dequantizes row `row` (0 to 3) of a group into out (columns).
  void (*dequantize)(const uint8_t *group, uint32_t columns, uint32_t row, float *out);
  /// y[t * y_stride + r] for the rows of groups [begin, end) and all tokens.
  /// `scratch` holds scratch_bytes(columns).
  void (*multiply)(const Matrix &w, const Activations &x, float *y, size_t y_stride, uint32_t begin, uint32_t end,
                   uint8_t *scratch);
};

/// The kernel of a type under the dot-product form in use.
const MatmulKernel *matmul_kernel(TensorType type);
/// Bytes of scratch that multiply() needs for matrices of up to `columns`.
size_t matmul_scratch_bytes(uint32_t columns);

/// The forms of integer dot product in this build; see slm_dot_bench.
int dot_count();
const char *dot_name(int i);
int dot_selected();
void dot_select(int i);

} // namespace slm
