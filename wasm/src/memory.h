// memory.h: aligned blocks that may be refused. Everything whose size follows
// from a file or a host goes through here, so that a number that is too large
// becomes an error and not a trap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "error.h"

namespace slm {

/// `n` bytes aligned to 64, or null.
uint8_t *allocate(size_t n);
void release(void *p);

struct Release {
  void operator()(uint8_t *p) const { release(p); }
};
using Block = std::unique_ptr<uint8_t, Release>;

/// A block, or SLM_ERR_OUT_OF_MEMORY that says what it was for.
Status allocate(Block &out, uint64_t n, std::string_view purpose);
Status allocate_zeroed(Block &out, uint64_t n, std::string_view purpose);

} // namespace slm
