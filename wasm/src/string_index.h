// string_index.h: finds strings by content: an open-addressing hash table of
// ids into a list that someone else keeps. Owns neither strings nor their
// number; four bytes a slot, because a vocabulary of 262,144 tokens lives in
// here for as long as the page does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace slm {

/// A hash of `text`. Not keyed: StringIndex limits what collisions can cost.
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

class StringIndex {
public:
  static constexpr uint32_t kMaxIds = (1u << 22) - 1; // a slot is 10 bits of hash and an id
  static constexpr uint32_t kNone = UINT32_MAX;

  enum class Added { Yes, Duplicate, Degenerate };

  /// Empties the table and makes room for `n` strings (at most kMaxIds).
  void reset(size_t n) {
    size_t slots = 16;
    while (slots < n * 2)
      slots *= 2;
    slots_.assign(slots, 0);
  }

  /// The id whose string equals `text`, or kNone. `at(id)` gives a string.
  template <class At> uint32_t find(std::string_view text, const At &at) const {
    uint32_t *const slots = const_cast<uint32_t *>(slots_.data());
    const Probe probe = locate(slots, text, at);
    return probe.slot && *probe.slot ? id_of(*probe.slot) : kNone;
  }

  /// Enters string `id` unless an equal one is there. Degenerate: strings made
  /// to collide; going on would cost quadratic time.
  template <class At> Added add(uint32_t id, const At &at) {
    const Probe probe = locate(slots_.data(), at(id), at);
    if (!probe.slot) return Added::Degenerate;
    if (*probe.slot) return Added::Duplicate;
    *probe.slot = probe.tag | (id + 1);
    return Added::Yes;
  }

private:
  // At most half of the slots are taken, so a run this long is no accident.
  static constexpr uint32_t kMaxProbes = 256;

  struct Probe {
    uint32_t *slot; // the string's, or a free one; nullptr after kMaxProbes
    uint32_t tag;
  };

  static uint32_t id_of(uint32_t slot) { return (slot & kMaxIds) - 1; }

  template <class At> Probe locate(uint32_t *slots, std::string_view text, const At &at) const {
    const uint64_t hash = hash_bytes(text);
    const uint32_t tag = static_cast<uint32_t>(hash >> 32) & ~kMaxIds;
    const size_t mask = slots_.size() - 1;
    size_t i = static_cast<size_t>(hash) & mask;
    for (uint32_t n = 0; n < kMaxProbes; ++n, i = (i + 1) & mask)
      if (!slots[i] || ((slots[i] & ~kMaxIds) == tag && at(id_of(slots[i])) == text)) return {slots + i, tag};
    return {nullptr, tag};
  }

  std::vector<uint32_t> slots_ = std::vector<uint32_t>(16);
};

} // namespace slm
