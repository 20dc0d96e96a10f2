// checkpoints.h: how far a session can be taken back whose layers recur. A state
// cannot be cut like a cache, so it is copied where a next turn may begin. Owns
// which positions have a copy; a Compute has the copies, and the session decides
// when to make one.
#pragma once

#include "compute.h"

namespace slm {

class Checkpoints {
public:
  /// Copies the state behind the first `n` positions, in place of the oldest copy.
  void keep(Compute &compute, uint32_t n);
  /// Goes back to the longest of the first `n` positions that has a copy and forgets what lies behind it; 0 if none
  /// has.
  uint32_t go_back(Compute &compute, uint32_t n);
  void clear() { *this = {}; }

  /// Before a token is evaluated that may not be the next one.
  static void mark(Compute &compute) { compute.keep(kCopies); }
  static void take_back(Compute &compute) { compute.restore(kCopies); }

private:
  static constexpr uint32_t kCopies = Compute::kCopies - 1; // the last one is the mark's
  uint32_t positions_[kCopies] = {};                        // before each copy; 0: there is none
};

} // namespace slm
