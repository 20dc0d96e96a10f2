// wordpiece.h: WordPiece tokenization (tokenizer.ggml.model = "bert"; Schuster and
// Nakajima 2012) behind BERT's reading of text without case and accents: words,
// and of each the longest token that begins it, then the longest that goes on.
// A word that this does not spell is the unknown token. Converters write a
// token that begins a word with U+2581 in front, and one that goes on without
// its "##".
#pragma once

#include "tokenizer.h"
#include "unicode.h"

namespace slm {

class WordPieceTokenizer final : public Tokenizer {
public:
  std::string_view name() const override { return "bert"; }

protected:
  Status read(const Gguf &gguf) override;
  void encode_text(std::string_view text, bool prefix, std::vector<int32_t> &ids) const override;
  void decode_text(std::string_view text, std::string &bytes) const override;

private:
  /// Appends the tokens of a word, which begins with U+2581 and has `n` characters behind it.
  void encode_word(std::string_view word, size_t n, std::vector<int32_t> &ids) const;

  Folding folding_;
};

} // namespace slm
