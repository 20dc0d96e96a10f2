// checkpoints.cpp: see checkpoints.h.
#include "checkpoints.h"

namespace slm {

void Checkpoints::keep(Compute &compute, uint32_t n) {
  // What lay behind a copy is forgotten with it, so the lowest position is the oldest copy or a free one.
  uint32_t lowest = 0;
  for (uint32_t i = 0; i < kCopies; i++) {
    if (positions_[i] == n) return;
    if (positions_[i] < positions_[lowest]) lowest = i;
  }
  compute.keep(lowest);
  positions_[lowest] = n;
}

uint32_t Checkpoints::go_back(Compute &compute, uint32_t n) {
  uint32_t best = kCopies;
  for (uint32_t i = 0; i < kCopies; i++) {
    if (positions_[i] > n) positions_[i] = 0;
    if (positions_[i] != 0 && (best == kCopies || positions_[i] > positions_[best])) best = i;
  }
  if (best == kCopies) return 0;
  compute.restore(best);
  return positions_[best];
}

} // namespace slm
