// matrix.h: a matrix of weights, as families, adapters and operations name it.
// Where its numbers lie is its backend's business: packed for the kernels in
// linear memory (cpu/), or in buffers of the GPU (gpu/).
#pragma once

#include <cstdint>

#include "generated/tensor_type.h"

namespace slm {

/// Backends take the rows of a matrix in groups of so many.
inline constexpr uint32_t kRows = 4;

struct MatmulKernel; // how a backend stores and multiplies a tensor type

/// Weights of (rows, columns).
struct Matrix {
  TensorType type = TensorType::F32;
  uint32_t rows = 0, columns = 0;
  const MatmulKernel *kernel = nullptr;
  uint8_t *data = nullptr;        // the backend's
  float *input_squares = nullptr; // (columns + 1), of an importance matrix; null unless collecting

  uint32_t groups() const { return (rows + kRows - 1) / kRows; }
};

/// Bytes of a row in a file.
constexpr uint64_t row_bytes(TensorType type, uint64_t columns) {
  const TensorTypeInfo &info = *tensor_type_info(static_cast<uint32_t>(type));
  return columns / info.block_size * info.block_bytes;
}
constexpr bool is_quantized(TensorType type) { return tensor_type_info(static_cast<uint32_t>(type))->block_size > 1; }

} // namespace slm
