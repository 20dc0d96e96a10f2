// bpe.h: byte-level BPE (tokenizer.ggml.model = "gpt2"): text is cut into words
// by the model family's expressions, the bytes of a word are spelled in an
// alphabet of 256 printable characters, and neighbours are joined in the order
// of the merge list.
#pragma once

#include "pretokenizer.h"
#include "tokenizer.h"

namespace slm {

class BpeTokenizer final : public Tokenizer {
public:
  std::string_view name() const override { return "gpt2"; }

protected:
  Status read(const Gguf &gguf) override;
  void encode_text(std::string_view text, bool prefix, std::vector<int32_t> &ids) const override;
  void decode_text(std::string_view text, std::string &bytes) const override;

private:
  Status read_merges(const Gguf &gguf);
  uint32_t rank(std::string_view left, std::string_view right) const;

  const Pretokenizer *pretokenizer_ = nullptr;
  std::vector<std::string_view> merges_; // "left right", best first
  HashIndex merge_index_;                // of merges_ by both parts
};

} // namespace slm
