// arena.h: activations from one block of linear memory, for a session or for
// one picture; without a block it only counts.
#pragma once

#include "../models/model.h"

namespace slm {

class BlockArena final : public Arena {
public:
  BlockArena(uint8_t *base, uint32_t n_batch) : base_(base), n_batch_(n_batch) {}
  Rows rows(uint32_t width, bool one) override {
    Rows r{base_ == nullptr ? nullptr : reinterpret_cast<float *>(base_ + used_), width};
    // A row's last group of four is written as one vector.
    used_ += ((uint64_t(one ? 1 : n_batch_) * width + 4) * sizeof(float) + 63) & ~uint64_t(63);
    return r;
  }
  uint64_t used() const { return used_; }

private:
  uint8_t *base_;
  uint32_t n_batch_;
  uint64_t used_ = 0; // 64 bits: what is only counted may not fit the memory
};

} // namespace slm
