// indexed.h: tensor types whose blocks name their values by small indices: the
// IQ types of 256 elements, whose code books say which values stand together,
// and the ternary ones. Owns how their bits are read; backends pack what comes
// out, four bits an element whatever the file has, so that a kernel reads one
// layout: an IQ2 matrix takes in memory what a Q4 one takes. Types of 32
// elements, whose blocks a kernel reads as they are, find their values here.
#pragma once

#include <cstdint>

#include "generated/tensor_type.h"

namespace slm {

/// IQ4_NL and IQ4_XS; MXFP4 (E2M1), whose values are doubled to be whole.
inline constexpr int8_t kNonlinear[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
inline constexpr int8_t kE2m1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

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
