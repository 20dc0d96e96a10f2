// tokenizer.h: text to token ids and back, from a GGUF's own vocabulary. Four
// algorithms (SentencePiece-style scored merges in spm.cpp and its unigram model
// in unigram.cpp, byte-level BPE in bpe.cpp, WordPiece in wordpiece.cpp) behind one class; special tokens are cut
// out here, once for all.
// Exact: ids equal llama.cpp's on any bytes, invalid UTF-8 included, but for
// special tokens that overlap, which are taken in transformers' order.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../error.h"
#include "../gguf.h"
#include "vocabulary.h"

namespace slm {

inline constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81"; // U+2581, how tokens spell a space

class Tokenizer {
public:
  virtual ~Tokenizer() = default;

  /// Builds the tokenizer that the metadata names. `gguf` must outlive it (the
  /// vocabulary is views into the header). Errors name the key.
  static Status create(const Gguf &gguf, std::unique_ptr<Tokenizer> &out);

  /// Appends the ids of `text` to `ids`. `special`: control and user-defined
  /// tokens in the text are taken as such; else only user-defined ones are (as
  /// llama.cpp does). `bos`: adds BOS/EOS where the metadata asks for it.
  /// `plain`: begin, end, begin, end, ... of stretches, rising, in which no byte
  /// of a control token may lie; it is text there.
  void encode(std::string_view text, bool special, bool bos, std::vector<int32_t> &ids,
              std::span<const uint32_t> plain = {}) const;

  /// Appends the bytes of one id. Control tokens give nothing unless `special`.
  /// An id outside the vocabulary gives nothing.
  void decode(int32_t id, bool special, std::string &bytes) const;

  /// Whole-sequence decoding: like decode() for each id, but SentencePiece
  /// drops the one leading space that its space prefix had added.
  void decode(const int32_t *ids, size_t n, bool special, std::string &bytes) const;

  uint32_t n_vocab() const { return vocabulary_.size(); }
  virtual std::string_view name() const { return {}; } // "llama", "gpt2", "gemma4", "bert" or "t5"
  int32_t bos() const { return vocabulary_.bos; }      // -1 when absent, as the others
  int32_t eos() const { return vocabulary_.eos; }
  int32_t eot() const { return vocabulary_.eot; }
  bool add_bos() const { return vocabulary_.add_bos; }
  const FillTokens &fill() const { return vocabulary_.fill; }
  /// Tokens that end a generation: eos, eot, eom and the names that llama.cpp
  /// knows (<|im_end|>, <end_of_turn>, <|eot_id|>, ...), and those of fill().
  const std::vector<int32_t> &eog() const { return vocabulary_.eog; }

protected:
  // Every algorithm overrides these. They are not pure because the C++ runtime's
  // answer to a pure call brings printf along, 20 KB.

  virtual Status read(const Gguf &) { return SLM_ERR_UNSUPPORTED; }

  /// Appends the ids of text without special tokens, not empty. `prefix`: it
  /// begins the input or follows a special token.
  virtual void encode_text(std::string_view /*text*/, bool /*prefix*/, std::vector<int32_t> & /*ids*/) const {}

  /// Appends the bytes that a normal token of this text stands for.
  virtual void decode_text(std::string_view /*text*/, std::string & /*bytes*/) const {}

  /// Appends the text of a token that spells spaces by kSpaceSymbol.
  static void append_spaced(std::string_view text, std::string &bytes);

  Vocabulary vocabulary_;
  bool adds_space_ = false; // before text where `prefix` holds

private:
  /// A part of the text: a special token, or text (token is -1) to be encoded.
  struct Fragment {
    size_t begin, end;
    int32_t token;
  };

  /// The special tokens of one length: which bytes they begin with.
  struct SpecialLength {
    uint16_t length;
    bool user_defined; // some of them are; else all are skipped unless `special`
    uint32_t first_bytes[8];
  };

  Status find_special_lengths();
  bool is_special(int32_t id, bool special) const;
  void cut_special(std::string_view text, bool special, std::span<const uint32_t> plain,
                   std::vector<Fragment> &fragments) const;

  std::vector<SpecialLength> special_lengths_; // longest first
};

} // namespace slm
