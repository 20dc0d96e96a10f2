// indexed.h: tensor types whose blocks name their values by small indices: the
// IQ types of 256 elements, whose code books say which values stand together,
// and the ternary ones. Owns how their bits are read; backends pack what comes
// out, four bits an element whatever the file has, so that a kernel reads one
// layout: an IQ2 matrix takes in memory what a Q4 one takes.
#pragma once

#include <cstdint>

#include "generated/tensor_type.h"

namespace slm {

/// 256 elements: value = d * scale[i / 16] * values[index[i]].
struct IndexedBlock {
  float d;
  int8_t scale[16];
  uint8_t index[256]; // below 16
};

/// The sixteen values that a type's indices stand for.
const int8_t *indexed_values(TensorType type);
void read_indexed(TensorType type, const uint8_t *block, IndexedBlock &out);

} // namespace slm
