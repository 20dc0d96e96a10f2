// vocabulary.h: a model's tokens by id and by text, what kind each one is, and
// which of them begin and end things. Owns the reading of tokenizer.ggml.* that
// every algorithm needs, and llama.cpp's rules for names that models fail to
// mark. Knows no algorithm.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "../error.h"
#include "../gguf.h"
#include "../hash_index.h"

namespace slm {

/// What a token is; more than one may hold once names have been looked at.
enum TokenAttribute : uint8_t {
  kTokenUnknown = 1,
  kTokenUnused = 2,
  kTokenNormal = 4,
  kTokenControl = 8,
  kTokenUserDefined = 16,
  kTokenByte = 32,
  kTokenStripsRight = 64, // as a special token it swallows the white space after it
};

/// What a text to be filled in the middle is put together with; -1 where there is none.
struct FillTokens {
  int32_t prefix = -1, suffix = -1, middle = -1; // a model fills in if it has these
  int32_t separator = -1, repository = -1;       // of files, and before the name of what they belong to
  int32_t padding = -1;

  bool complete() const { return prefix >= 0 && suffix >= 0 && middle >= 0; }
};

class Vocabulary {
public:
  /// `bos`, `eos` and `unknown` are used where the metadata has no such key.
  struct Defaults {
    int32_t bos, eos, unknown;
    bool add_bos;
    bool add_eos = false;
    bool encloses = false; // each text stands between CLS and SEP, which are its BOS and EOS
  };

  /// Reads the tokens; their texts stay in `gguf`. Errors name the key.
  Status read(const Gguf &gguf, const Defaults &defaults);

  uint32_t size() const { return static_cast<uint32_t>(texts_.size()); }
  bool contains(int32_t id) const { return id >= 0 && static_cast<uint32_t>(id) < size(); }
  std::string_view text(int32_t id) const { return texts_[static_cast<uint32_t>(id)]; }
  uint8_t attributes(int32_t id) const { return attributes_[static_cast<uint32_t>(id)]; }
  size_t longest() const { return longest_; }

  /// The token of exactly this text, or -1.
  int32_t find(std::string_view text) const {
    if (text.size() > longest_) return -1;
    return static_cast<int32_t>(index_.find(hash_bytes(text), [&](uint32_t id) { return texts_[id] == text; }));
  }

  int32_t bos = -1, eos = -1, eot = -1, unknown = -1;
  bool add_bos = false, add_eos = false;
  FillTokens fill;
  std::vector<int32_t> eog; // in order

private:
  Status read_texts(const Gguf &gguf);
  Status read_attributes(const Gguf &gguf);
  Status read_id(const Gguf &gguf, std::string_view key, int32_t &id) const;
  Status find_special(const Gguf &gguf);
  int32_t find_any(std::span<const std::string_view> names) const;
  void find_end_of_generation(std::initializer_list<int32_t> ids);
  Status mark_stripping(const Gguf &gguf);

  std::vector<std::string_view> texts_;
  std::vector<uint8_t> attributes_;
  HashIndex index_;
  size_t longest_ = 0;
};

} // namespace slm
