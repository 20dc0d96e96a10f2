// hash_index.h: finds items by content: an open-addressing hash table of ids
// into a list that someone else keeps. Owns neither the items nor what makes
// two of them equal; four bytes a slot, because a vocabulary of 262,144 tokens
// lives in here for as long as the page does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace slm {

/// A hash of `text`. Not keyed: HashIndex limits what collisions can cost.
inline uint64_t hash_bytes(std::string_view text) {
  constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15;
  uint64_t hash = text.size() * kMultiplier;
  while (!text.empty()) {
    uint64_t word = 0;
    const size_t n = text.size() < 8 ? text.size() : 8;
    memcpy(&word, text.data(), n);
    hash = (hash ^ word) * kMultiplier;
    hash ^= hash >> 29;
    text.remove_prefix(n);
  }
  return hash ^ hash >> 32;
}

class HashIndex {
public:
  static constexpr uint32_t kMaxIds = (1u << 22) - 1; // a slot is 10 bits of hash and an id
  static constexpr uint32_t kNone = UINT32_MAX;

  enum class Added { Yes, Duplicate, Degenerate };

  /// Empties the table and makes room for `n` items (at most kMaxIds).
  void reset(size_t n) {
    size_t slots = 16;
    while (slots < n * 2)
      slots *= 2;
    slots_.assign(slots, 0);
  }

  /// The id whose item has this hash and for which `equals(id)` holds, or kNone.
  template <class Equals> uint32_t find(uint64_t hash, const Equals &equals) const {
    const size_t slot = locate(hash, equals);
    return slot == kTooFar || !slots_[slot] ? kNone : id_of(slots_[slot]);
  }

  /// Enters item `id` unless an equal one is there. Degenerate: items made to
  /// collide; going on would cost quadratic time.
  template <class Equals> Added add(uint32_t id, uint64_t hash, const Equals &equals) {
    const size_t slot = locate(hash, equals);
    if (slot == kTooFar) return Added::Degenerate;
    if (slots_[slot]) return Added::Duplicate;
    slots_[slot] = tag_of(hash) | (id + 1);
    return Added::Yes;
  }

private:
  // At most half of the slots are taken, so a run this long is no accident.
  static constexpr uint32_t kMaxProbes = 256;
  static constexpr size_t kTooFar = SIZE_MAX;

  static uint32_t id_of(uint32_t slot) { return (slot & kMaxIds) - 1; }
  static uint32_t tag_of(uint64_t hash) { return static_cast<uint32_t>(hash >> 32) & ~kMaxIds; }

  /// The item's slot or the free one where it would go.
  template <class Equals> size_t locate(uint64_t hash, const Equals &equals) const {
    const size_t mask = slots_.size() - 1;
    size_t i = static_cast<size_t>(hash) & mask;
    for (uint32_t n = 0; n < kMaxProbes; ++n, i = (i + 1) & mask) {
      const uint32_t slot = slots_[i];
      if (!slot || ((slot & ~kMaxIds) == tag_of(hash) && equals(id_of(slot)))) return i;
    }
    return kTooFar;
  }

  std::vector<uint32_t> slots_ = std::vector<uint32_t>(16);
};

} // namespace slm
