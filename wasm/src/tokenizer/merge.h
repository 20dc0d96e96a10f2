// merge.h: joins neighbouring symbols of a text, best pair first, until no pair
// can be joined: the loop that SentencePiece-style and byte-level BPE share.
// O(n log n) in the number of symbols, whatever the text. Knows nothing of what
// makes a pair good: the caller's function ranks it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace slm {

/// A piece of the text; neighbours are indices, -1 at the ends. Joined into its
/// left neighbour, it has size 0.
struct Symbol {
  uint32_t begin;
  uint32_t size;
  int32_t previous;
  int32_t next;
};

class Merger {
public:
  static constexpr uint32_t kNever = UINT32_MAX;

  void clear() { symbols.clear(); }

  /// Appends a symbol of `size` bytes to the text.
  void add(uint32_t size) {
    const auto index = static_cast<int32_t>(symbols.size());
    const uint32_t begin = symbols.empty() ? 0 : symbols.back().begin + symbols.back().size;
    if (index > 0) symbols.back().next = index;
    symbols.push_back({begin, size, index - 1, -1});
  }

  /// rank(begin, left_size, right_size) tells how early this pair is joined
  /// (the lowest first, of equals the leftmost), or kNever.
  template <class Rank> void run(const Rank &rank) {
    candidates_.clear();
    for (int32_t i = 0; i + 1 < static_cast<int32_t>(symbols.size()); ++i)
      consider(i, rank);
    while (!candidates_.empty()) {
      std::pop_heap(candidates_.begin(), candidates_.end());
      const Candidate best = candidates_.back();
      candidates_.pop_back();
      Symbol &left = symbols[best.left];
      if (left.size == 0 || left.next < 0) continue;
      Symbol &right = symbols[static_cast<uint32_t>(left.next)];
      if (left.size + right.size != best.size) continue; // one of them has grown since

      left.size += right.size;
      right.size = 0;
      left.next = right.next;
      if (right.next >= 0) symbols[static_cast<uint32_t>(right.next)].previous = static_cast<int32_t>(best.left);
      if (left.previous >= 0) consider(left.previous, rank);
      consider(static_cast<int32_t>(best.left), rank);
    }
  }

  std::vector<Symbol> symbols;

private:
  struct Candidate {
    uint32_t rank;
    uint32_t left;
    uint32_t size; // of both when this was considered

    // The heap keeps the greatest on top: the lowest rank, then the leftmost.
    bool operator<(const Candidate &other) const { return rank != other.rank ? rank > other.rank : left > other.left; }
  };

  template <class Rank> void consider(int32_t index, const Rank &rank) {
    const Symbol &left = symbols[static_cast<uint32_t>(index)];
    if (left.next < 0) return;
    const Symbol &right = symbols[static_cast<uint32_t>(left.next)];
    const uint32_t value = rank(left.begin, left.size, right.size);
    if (value == kNever) return;
    candidates_.push_back({value, static_cast<uint32_t>(index), left.size + right.size});
    std::push_heap(candidates_.begin(), candidates_.end());
  }

  std::vector<Candidate> candidates_; // a heap
};

} // namespace slm
