// unicode.h: text as code points with their classes, for the pre-tokenizers.
// Owns the reading of broken UTF-8 where token ids depend on it. Knows no words.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "../generated/unicode_tables.h"

namespace slm {

CharClass char_class(uint32_t code);

struct Char {
  uint32_t code;
  CharClass kind;
};

/// What an uncased model reads: no capitals, no accents, no control characters.
class Folding {
public:
  Folding();

  /// Calls f(code) for each code point that `code` is read as.
  template <class F> void apply(uint32_t code, F f) const {
    if (code >= kHangul && code < kHangul + kHangulCount) {
      // The standard's arithmetic: syllables of 19 leading, 21 vowel and 27 trailing jamo, the last of them optional.
      const uint32_t i = code - kHangul, trailing = i % 28;
      f(0x1100 + i / (21 * 28));
      f(0x1161 + i / 28 % 21);
      if (trailing != 0) f(0x11A7 + trailing);
      return;
    }
    const Run *run = find(code);
    if (run == nullptr) return f(code);
    for (uint32_t i = 0; i < run->n; i++)
      f(code + run->deltas[i]);
  }

private:
  static constexpr uint32_t kHangul = 0xAC00, kHangulCount = 11172;
  struct Run {
    uint32_t first, last; // code points
    uint32_t step, n, deltas[3];
  };
  const Run *find(uint32_t code) const;

  std::vector<Run> runs_;
};

/// Decodes `text` as llama.cpp does before byte-level BPE: overlong forms and
/// surrogates are taken at their value, and every byte that starts no sequence
/// becomes U+FFFD. (So does a byte that starts a sequence past U+10FFFF, where
/// llama.cpp aborts.)
void decode_chars(std::string_view text, std::vector<Char> &chars);

} // namespace slm
