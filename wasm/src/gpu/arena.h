// arena.h: activations in buffers of the device, for a session or for one
// picture; without a place to keep them it only counts.
#pragma once

#include <algorithm>

#include "../models/model.h"
#include "device.h"

namespace slm {

/// Adds up the rows that a family asks for, and makes buffers of them where there is a place to keep them.
class BufferArena final : public Arena {
public:
  BufferArena(uint32_t n_batch, std::vector<Buffer> *buffers) : n_batch_(n_batch), buffers_(buffers) {}
  Rows rows(uint32_t width, bool one) override {
    const uint64_t bytes = uint64_t(one ? 1 : n_batch_) * stride_of(width) * sizeof(float);
    used += bytes, largest = std::max(largest, bytes);
    if (buffers_ == nullptr) return {nullptr, width};
    buffers_->emplace_back(bytes);
    return {name_of<float>(buffers_->back().handle()), width};
  }
  uint64_t used = 0;    // bytes of all
  uint64_t largest = 0; // and of the rows that take most

private:
  uint32_t n_batch_;
  std::vector<Buffer> *buffers_;
};

} // namespace slm
