// unigram.h: SentencePiece's unigram model (tokenizer.ggml.model = "t5"; Kudo
// 2018), which T5 and XLM-RoBERTa have: of all ways to cut a text into tokens the
// one whose scores, which are log-probabilities, add up to the most. Knows what
// is done to spaces; what is done to other characters, its table says.
#pragma once

#include "charsmap.h"
#include "tokenizer.h"

namespace slm {

class UnigramTokenizer final : public Tokenizer {
public:
  std::string_view name() const override { return "t5"; }

protected:
  Status read(const Gguf &gguf) override;
  void encode_text(std::string_view text, bool prefix, std::vector<int32_t> &ids) const override;
  void decode_text(std::string_view text, std::string &bytes) const override;

private:
  Status read_scores(const Gguf &gguf);
  std::string normalized(std::string_view text) const;

  Charsmap charsmap_;
  std::vector<float> scores_; // by id; of user-defined tokens 0
  size_t longest_ = 0;        // bytes of a token that text may become
  double unknown_score_ = 0;  // of a character that is no token
  bool merges_spaces_ = false;
};

} // namespace slm
