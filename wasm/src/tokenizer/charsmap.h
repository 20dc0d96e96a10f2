// charsmap.h: SentencePiece's normalization, compiled into a table by whoever
// trained the model (tokenizer.ggml.precompiled_charsmap): a trie over bytes as a
// double array (darts-clone's units, which llama.cpp calls XCDA), and behind it
// the texts that its leaves stand for. Owns the distrust of that table. Knows
// neither Unicode's rules, which are in there, nor tokens.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "../error.h"

namespace slm {

class Charsmap {
public:
  /// Takes `bytes`, which must outlive this: the size of the trie in bytes (U32), its units (U32 each), and texts that
  /// end in NUL. No bytes at all: every text stays as it is.
  Status read(std::span<const uint8_t> bytes);

  struct Step {
    std::string_view text; // what it becomes
    size_t size;           // bytes of the input
  };
  /// What the longest beginning of `text` (not empty) that the trie knows becomes, else its first character itself, or
  /// U+FFFD for a byte that begins none.
  Step step(std::string_view text) const;

private:
  /// Zero, which leads nowhere, where there is none: a damaged trie may point anywhere.
  uint32_t unit(uint32_t at) const;

  std::span<const uint8_t> units_, texts_;
};

} // namespace slm
