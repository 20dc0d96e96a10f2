// kernels.cpp: the matrix kernels alone, for test_kernels.py to call in wasmtime.
// Linked with the very objects of a variant; packs GGUF rows as the loader does.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "cpu/kernels/matmul.h"

using namespace slm;

namespace {

std::vector<uint8_t> packed;

Matrix pack(uint32_t type, const uint8_t *file, uint32_t rows, uint32_t columns) {
  const TensorTypeInfo &info = *tensor_type_info(type);
  const size_t row_bytes = size_t(columns) / info.block_size * info.block_bytes;
  const std::vector<uint8_t> zeros(row_bytes);
  Matrix w;
  w.kernel = matmul_kernel(info.type);
  w.rows = rows;
  w.columns = columns;
  packed.resize(w.groups() * group_bytes(w));
  w.data = packed.data();
  for (uint32_t g = 0; g < w.groups(); g++) {
    const uint8_t *at[kRows];
    for (uint32_t r = 0; r < kRows; r++)
      at[r] = g * kRows + r < rows ? file + (g * kRows + r) * row_bytes : zeros.data();
    w.kernel->pack(at, columns, w.data + g * group_bytes(w));
  }
  return w;
}

} // namespace

extern "C" {

__attribute__((export_name("test_alloc"))) void *test_alloc(uint32_t n) { return std::malloc(n); }
__attribute__((export_name("test_free"))) void test_free(void *p) { std::free(p); }
__attribute__((export_name("test_forms"))) int test_forms() { return kDotForms; }

/// y (n, rows) = x (n, columns) times the transposed matrix, by groups
/// [begin, end) as a thread of a team would. A form below 0 is the exact product.
__attribute__((export_name("test_multiply"))) void test_multiply(int form, uint32_t type, const uint8_t *file,
                                                                 uint32_t rows, uint32_t columns, const float *x,
                                                                 uint32_t n, float *y, uint32_t begin, uint32_t end) {
  if (form >= 0) dot_select(form);
  const Matrix w = pack(type, file, rows, columns);
  std::vector<uint8_t> scratch(matmul_scratch_bytes(columns) + 16), memory(quantized_rows_bytes(n, columns) + 16);
  Activations a{x, {}, n};
  if (w.kernel->rounding != Rounding::None) {
    a.quantized = quantized_rows_at(memory.data(), n, columns);
    quantize_rows(x, a.quantized, 0, n, uint32_t(w.kernel->rounding));
  }
  const auto multiply = form < 0 ? multiply_exact : &w.kernel->multiply();
  multiply(w, a, y, rows, begin, end, scratch.data());
}

__attribute__((export_name("test_dequantize"))) void test_dequantize(uint32_t type, const uint8_t *file, uint32_t rows,
                                                                     uint32_t columns, float *out) {
  const Matrix w = pack(type, file, rows, columns);
  for (uint32_t r = 0; r < rows; r++)
    w.kernel->dequantize(w.data + r / kRows * group_bytes(w), columns, r % kRows, out + size_t(r) * columns);
}
}
