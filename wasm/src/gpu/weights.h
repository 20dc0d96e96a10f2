// weights.h: where the weights of a store lie on the device. Matrices share a
// few large buffers (heaps), none larger than what a shader may bind; a matrix
// that is larger is cut by rows. Vectors stay in linear memory, all in one
// piece, with a copy of that piece on the device.
#pragma once

#include <memory>
#include <vector>

#include "../memory.h"
#include "../weights.h"
#include "formats.h"

namespace slm {

/// Rows [first_row, first_row + rows) of a matrix.
struct Part {
  uint32_t heap;  // its place in Kept::heaps
  uint32_t at[4]; // where each region begins in the heap, in words of 4 bytes
  uint32_t first_row, rows;
};

/// What Matrix::data is on this backend.
struct Placement {
  uint32_t blocks; // of a row
  std::vector<Part> parts;
};
inline const Placement &placement(const Matrix &m) { return *reinterpret_cast<const Placement *>(m.data); }
/// Of its `rows` rows from `first`, a multiple of kRows, on.
Placement part_of(const Matrix &whole, uint32_t first, uint32_t rows);

/// "No vector" in the parameters of a shader.
inline constexpr uint32_t kNone = 0xffffffff;

struct WeightStore::Kept {
  ~Kept();

  std::vector<std::unique_ptr<Placement>> placements;
  std::vector<uint64_t> heap_bytes;
  std::vector<uint32_t> heaps; // handles
  Block staging;               // rows as they go to the device
  uint64_t staging_bytes = 0;

  struct Vector {
    float **out;
    uint32_t at; // floats
  };
  std::vector<Vector> wanted;
  uint32_t n_floats = 0;
  Block floats;
  uint32_t vectors = 0; // their copy's handle

  /// Where a vector of this store begins in `vectors`, in floats; kNone for null.
  uint32_t vector_at(const float *v) const {
    return v == nullptr ? kNone : static_cast<uint32_t>(v - reinterpret_cast<const float *>(floats.get()));
  }
};

} // namespace slm
