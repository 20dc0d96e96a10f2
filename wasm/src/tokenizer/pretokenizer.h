// pretokenizer.h: cuts text into the words that byte-level BPE merges within.
// Each model family defines its words by regular expressions; here they are
// scanners written by hand, since a regex engine would be larger than the rest
// of the tokenizer and slower. Knows no vocabulary.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "unicode.h"

namespace slm {

using Chars = std::span<const Char>;

/// The length of the first piece of `text` (which is not empty) under one of
/// the expressions of a pre-tokenizer. Text outside of its matches is a piece, too.
using Splitter = size_t (*)(Chars text);

struct Pretokenizer {
  std::string_view name;               // tokenizer.ggml.pre
  std::span<const Splitter> splitters; // applied one within the other's pieces
  bool ignore_merges;                  // a word that is a token is taken whole
  bool add_bos;                        // unless the metadata says otherwise
};

/// The pre-tokenizer of that name, or nullptr.
const Pretokenizer *find_pretokenizer(std::string_view name);

/// Calls word(Chars) for every word of `text`.
template <class Word> void split_words(Chars text, std::span<const Splitter> splitters, const Word &word) {
  if (splitters.empty()) {
    word(text);
    return;
  }
  while (!text.empty()) {
    const size_t n = splitters[0](text);
    split_words(text.first(n), splitters.subspan(1), word);
    text = text.subspan(n);
  }
}

} // namespace slm
