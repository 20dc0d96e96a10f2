// row_table.h: a matrix that is looked up by rows and that no product reads, such
// as embeddings for each layer. It stays in linear memory as its file has it,
// whatever the backend: a token needs one row of hundreds of thousands, so that a
// GPU gets those rows alone. Knows no tokens.
#pragma once

#include "matrix.h"

namespace slm {

struct RowTable {
  TensorType type = TensorType::F32;
  uint32_t rows = 0, columns = 0;
  uint8_t *data = nullptr; // the file's blocks

  /// Bytes of all rows.
  uint64_t bytes() const { return rows * row_bytes(type, columns); }
  /// Columns that read() takes at once: whole blocks of any type, or all.
  uint32_t slice() const { return columns % 256 == 0 ? 256 : columns; }
  /// Slice `i` of row `row`, which exists.
  void read(uint32_t row, uint32_t i, float *out) const;
};

} // namespace slm
