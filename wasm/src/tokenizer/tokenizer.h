// tokenizer.h: text to token ids and back, from a GGUF's own vocabulary. Two
// algorithms (SentencePiece-style scored merges in spm.cpp, byte-level BPE in
// bpe.cpp) behind one class; special tokens are cut out here, once for both.
// Exact: ids equal llama.cpp's on any bytes, invalid UTF-8 included.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../error.h"
#include "../gguf.h"

namespace slm {

/// tokenizer.ggml.token_type
enum class TokenType : int32_t { Undefined, Normal, Unknown, Control, UserDefined, Unused, Byte };

class Tokenizer {
public:
  virtual ~Tokenizer() = default;

  /// Builds the tokenizer that the metadata names. `gguf` must outlive it (the
  /// vocabulary is views into the header). Errors name the key.
  static Status create(const Gguf &gguf, std::unique_ptr<Tokenizer> &out);

  /// Appends the ids of `text` to `ids`. `special`: control and user-defined
  /// tokens in the text are taken as such; else only user-defined ones are (as
  /// llama.cpp does). `bos`: adds BOS/EOS where the metadata asks for it.
  void encode(std::string_view text, bool special, bool bos, std::vector<int32_t> &ids) const;

  /// Appends the bytes of one id. Control tokens give nothing unless `special`.
  /// An id outside the vocabulary gives nothing.
  void decode(int32_t id, bool special, std::string &bytes) const;

  /// Whole-sequence decoding: like decode() for each id, but SentencePiece
  /// drops the one leading space that its space prefix had added.
  void decode(const int32_t *ids, size_t n, bool special, std::string &bytes) const;

  uint32_t n_vocab() const;
  std::string_view name() const; // "llama" or "gpt2"
  int32_t bos() const, eos() const, eot() const; // -1 when absent
  bool add_bos() const;
  /// Tokens that end a generation: eos, eot, eom and the names that llama.cpp
  /// knows (<|im_end|>, <end_of_turn>, <|eot_id|>, ...).
  const std::vector<int32_t> &eog() const;

  // The private parts are the implementer's.
};

} // namespace slm
