// formats.h: how each tensor type lies on the device. A row is cut into blocks
// of 32 columns; what belongs to a block is spread over up to four regions, each
// an array over (row, block) or (row, super-block of 256 columns), so that
// neighbouring lanes of a shader read neighbouring words. Bits move, nothing is
// rounded. wasm/shaders/formats reads what is written here.
#pragma once

#include "../matrix.h"

namespace slm {

inline constexpr uint32_t kBlock = 32; // columns

/// A tensor type on the device.
struct MatmulKernel {
  TensorType type;
  uint32_t columns; // of what pack() takes: a block of the file, or 32 plain numbers
  struct Region {
    uint32_t columns, bytes; // of a row; bytes 0: there is none
  } regions[4];
  /// Puts the `i`th piece of `columns` into the regions, whose first pieces are at `out`.
  void (*pack)(const uint8_t *from, uint32_t i, uint8_t *const (&out)[4]);
};

const MatmulKernel *matmul_kernel(TensorType type);

/// Blocks of a row.
inline uint32_t blocks_of(uint32_t columns) { return (columns + kBlock - 1) / kBlock; }
/// Bytes of region `r` for a row of `blocks`.
inline uint32_t region_row_bytes(const MatmulKernel &k, uint32_t r, uint32_t blocks) {
  const MatmulKernel::Region &region = k.regions[r];
  return region.bytes == 0 ? 0 : blocks * kBlock / region.columns * region.bytes;
}

} // namespace slm
