// row_table.cpp: see row_table.h.
#include "row_table.h"

#include "dequantize.h"

namespace slm {

void RowTable::read(uint32_t row, uint32_t i, float *out) const {
  const uint8_t *at = data + row * row_bytes(type, columns) + row_bytes(type, uint64_t(i) * slice());
  dequantize_row(type, at, slice(), out);
}

} // namespace slm
