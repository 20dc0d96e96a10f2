// memory.cpp: see memory.h.
#include "memory.h"

#include <cstdlib>
#include <cstring>

namespace slm {

namespace {
constexpr uint64_t kLargest =
    sizeof(size_t) == 4 ? 0xF0000000u : uint64_t(1) << 40; // bytes; linear memory ends at 4 GiB
}

uint8_t *allocate(size_t n) {
  if (n > kLargest) return nullptr;
  const size_t rounded = (n + 63) & ~size_t(63);
  return static_cast<uint8_t *>(std::aligned_alloc(64, rounded == 0 ? 64 : rounded));
}

void release(void *p) { std::free(p); }

Status allocate(Block &out, uint64_t n, std::string_view purpose) {
  out.reset(n > kLargest ? nullptr : allocate(static_cast<size_t>(n)));
  if (out != nullptr) return SLM_OK;
  return fail(SLM_ERR_OUT_OF_MEMORY, "no memory for ", purpose, ", which takes ", n,
              " bytes; close other pages, or choose a smaller model or context");
}

Status allocate_zeroed(Block &out, uint64_t n, std::string_view purpose) {
  SLM_TRY(allocate(out, n, purpose));
  std::memset(out.get(), 0, static_cast<size_t>(n));
  return SLM_OK;
}

} // namespace slm
