// bpe.h: byte-level BPE (tokenizer.ggml.model = "gpt2"): text is cut into words
// by the model family's expressions, the bytes of a word are spelled in an
// alphabet of 256 printable characters, and neighbours are joined in the order
// of the merge list. Gemma 4's ("gemma4") joins characters as they are, a space
// as U+2581, and has a token for each byte that nothing else spells.
#pragma once

#include "merge.h"
#include "pretokenizer.h"
#include "tokenizer.h"

namespace slm {

class BpeTokenizer final : public Tokenizer {
public:
  enum class Spelling { Bytes, Characters };
  explicit BpeTokenizer(Spelling spelling) : spelling_(spelling) {}

  std::string_view name() const override { return spelling_ == Spelling::Bytes ? "gpt2" : "gemma4"; }

protected:
  Status read(const Gguf &gguf) override;
  void encode_text(std::string_view text, bool prefix, std::vector<int32_t> &ids) const override;
  void decode_text(std::string_view text, std::string &bytes) const override;

private:
  Status read_merges(const Gguf &gguf);
  uint32_t rank(std::string_view left, std::string_view right) const;
  /// The word as merges spell it, cut into the symbols that they begin with.
  void spell(Chars word, std::string &spelled, Merger &merger) const;
  /// Appends the tokens of a piece that is none itself.
  void encode_bytes(std::string_view piece, std::vector<int32_t> &ids) const;

  Spelling spelling_;
  const Pretokenizer *pretokenizer_ = nullptr;
  std::vector<std::string_view> merges_; // "left right", best first
  HashIndex merge_index_;                // of merges_ by both parts
};

} // namespace slm
