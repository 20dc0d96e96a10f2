// spm.h: SentencePiece-style tokenization (tokenizer.ggml.model = "llama"):
// the neighbours whose joined text is the token of the highest score are joined
// first; characters that end up outside the vocabulary become byte tokens.
#pragma once

#include "tokenizer.h"

namespace slm {

class SpmTokenizer final : public Tokenizer {
public:
  std::string_view name() const override { return "llama"; }

protected:
  Status read(const Gguf &gguf) override;
  void encode_text(std::string_view text, bool prefix, std::vector<int32_t> &ids) const override;
  void decode_text(std::string_view text, std::string &bytes) const override;

private:
  std::vector<uint32_t> ranks_; // by id; a higher score is a lower rank
  int32_t byte_ids_[256];
};

} // namespace slm
