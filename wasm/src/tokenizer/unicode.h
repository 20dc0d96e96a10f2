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

/// Decodes `text` as llama.cpp does before byte-level BPE: overlong forms and
/// surrogates are taken at their value, and every byte that starts no sequence
/// becomes U+FFFD. (So does a byte that starts a sequence past U+10FFFF, where
/// llama.cpp aborts.)
void decode_chars(std::string_view text, std::vector<Char> &chars);

} // namespace slm
