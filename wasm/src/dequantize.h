// dequantize.h: a row of any tensor type to float32, one value at a time, as
// ggml defines it. Slow and plain: what kernels are proved against, and what
// reads the few numbers that are needed once.
#pragma once

#include "generated/tensor_type.h"

namespace slm {

/// `row` as it stands in a file, `columns` a multiple of the type's block.
void dequantize_row(TensorType type, const uint8_t *row, uint32_t columns, float *out);

} // namespace slm
