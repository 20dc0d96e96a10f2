// kv_cache.h: keys and values of one layer, for a range of positions that is
// all of them or a ring over the last ones (sliding window). Owns how large it
// is and the memory layout that the CPU's attention kernel reads; knows nothing
// of queries.
//
// Position p lives in slot p % capacity. Keys of four consecutive slots are
// interleaved, (kv_head, slot / 4, head_dim, 4), so that a vector holds four
// positions and scores need no horizontal sums; values are (kv_head, slot,
// head_dim). On the GPU keys and values name buffers, both (kv_head, slot,
// head_dim); see wasm/shaders/rope.wgsl. Elements are f16, or float32 when the model's own weights are
// float32, whose results f16 would blur.
#pragma once

#include <cstddef>
#include <cstdint>

namespace slm {

struct KvLayer {
  void *keys = nullptr, *values = nullptr;
  uint32_t n_head_kv = 0, head_dim = 0;
  uint32_t capacity = 0; // slots, a multiple of kKvBlock
  bool f16 = true;

  size_t element_bytes() const { return f16 ? 2 : 4; }
  /// 64 bits: the numbers come from a file, and must not wrap before they are refused.
  uint64_t bytes_each() const { return uint64_t(n_head_kv) * capacity * head_dim * element_bytes(); }
};

/// Positions that attention handles at a time; a block never wraps in a ring.
inline constexpr uint32_t kKvBlock = 32;

} // namespace slm
