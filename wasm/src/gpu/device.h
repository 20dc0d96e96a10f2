// device.h: the buffers that a session computes in on the GPU, by their handles.
// Rows are padded to whole blocks, and the padding is zero and stays so (but in
// Scratch::lowered, where weights of zero meet it).
#pragma once

#include <utility>
#include <vector>

#include "../kv_cache.h"
#include "../ops.h"
#include "formats.h"
#include "host.h"

namespace slm {

/// Of one dimension of a dispatch, as every device allows.
inline constexpr uint32_t kMostWorkgroups = 65535;

/// Floats between two rows of `width`.
inline uint32_t stride_of(uint32_t width) { return blocks_of(width) * kBlock; }

/// A pointer of the families' vocabulary that names a buffer, and back.
template <class T> T *name_of(uint32_t handle) { return reinterpret_cast<T *>(static_cast<uintptr_t>(handle)); }
inline uint32_t handle_of(const void *name) { return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(name)); }

/// A buffer, destroyed with its owner.
class Buffer {
public:
  Buffer() = default;
  explicit Buffer(uint64_t bytes) : handle_(gpu_create(static_cast<uint32_t>(bytes))), bytes_(bytes) {}
  Buffer(Buffer &&b) noexcept : handle_(b.handle_), bytes_(b.bytes_) { b.handle_ = 0; }
  Buffer &operator=(Buffer &&b) noexcept {
    std::swap(handle_, b.handle_);
    std::swap(bytes_, b.bytes_);
    return *this;
  }
  ~Buffer() {
    if (handle_ != 0) gpu_destroy(handle_);
  }
  uint32_t handle() const { return handle_; }
  uint64_t bytes() const { return bytes_; }

private:
  uint32_t handle_ = 0;
  uint64_t bytes_ = 0;
};

/// What operations use beside the rows of a family.
struct Scratch {
  uint32_t n_batch = 0, n_ctx = 0, max_rope_dims = 0;
  Buffer batch;             // { past, 0, 0, 0 }
  Buffer slot, last;        // as batch, of a token in a ring: where its keys go, and the last position that it sees
  Buffer ids;               // (n_batch)
  Buffer angles[kMaxRopes]; // (n_batch, max_rope_dims): pairs of cos and sin
  Buffer normed;            // (n_batch, the widest rows)
  Buffer up;                // (n_batch, the widest rows): of a gated unit whose halves come apart
  Buffer lowered;           // (n_batch, the largest rank): A x of an adapter
  Buffer partials;          // of attention: (n_head, segments, head_dim + 2)
  Buffer blocks;            // (n_batch, 2) positions, once tokens see each other in blocks

  const Probe *probe = nullptr; // what is looked at, or null

  std::vector<float> host_angles; // on their way
  std::vector<float> host_rows;   // of a table that is not on the device
};

} // namespace slm
