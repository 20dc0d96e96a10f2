// spm.cpp: see spm.h.
#include "spm.h"

#include <bit>

#include "merge.h"

namespace slm {

namespace {

/// Turns the order of scores around and into that of integers.
uint32_t rank_of_score(float score) {
  const auto bits = std::bit_cast<uint32_t>(score + 0.0f); // -0 equals 0
  const uint32_t ascending = bits >> 31 ? ~bits : bits | 0x80000000;
  return ~ascending;
}

/// How many bytes the character that starts with `first` claims to have. The
/// bytes themselves are not looked at: broken text becomes byte tokens anyway.
size_t claimed_length(char first) {
  const auto byte = static_cast<uint8_t>(first);
  return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

} // namespace

Status SpmTokenizer::read(const Gguf &gguf) {
  SLM_TRY(vocabulary_.read(gguf, {.bos = 1, .eos = 2, .unknown = 0, .add_bos = true}));
  bool found;
  adds_space_ = true;
  SLM_TRY(gguf.get("tokenizer.ggml.add_space_prefix", adds_space_, found));

  std::vector<float> scores;
  SLM_TRY(gguf.get("tokenizer.ggml.scores", scores, found));
  if (!found)
    return fail(SLM_ERR_BAD_FILE, "metadata key 'tokenizer.ggml.scores' is missing; expected a score for each token; "
                                  "convert the model again");
  if (scores.size() < vocabulary_.size())
    return fail(SLM_ERR_BAD_FILE, "metadata key 'tokenizer.ggml.scores' has ", scores.size(), " items; expected ",
                vocabulary_.size(), ", one for each token; convert the model again");
  ranks_.resize(vocabulary_.size());
  for (size_t id = 0; id < ranks_.size(); ++id)
    ranks_[id] = rank_of_score(scores[id]);

  for (uint32_t byte = 0; byte < 256; ++byte) {
    constexpr char kDigits[] = "0123456789ABCDEF";
    const char name[] = {'<', '0', 'x', kDigits[byte >> 4], kDigits[byte & 15], '>'};
    const char itself = static_cast<char>(byte);
    int32_t id = vocabulary_.find({name, sizeof name});
    if (id < 0) id = vocabulary_.find({&itself, 1});
    byte_ids_[byte] = id < 0 ? vocabulary_.unknown : id;
  }
  return SLM_OK;
}

void SpmTokenizer::encode_text(std::string_view text, bool prefix, std::vector<int32_t> &ids) const {
  std::string escaped;
  escaped.reserve(text.size() + text.size() / 2);
  if (adds_space_ && prefix) escaped = kSpaceSymbol;
  for (const char c : text) {
    if (c == ' ')
      escaped += kSpaceSymbol;
    else
      escaped += c;
  }
  const std::string_view all = escaped;

  Merger merger;
  for (size_t at = 0; at < all.size();) {
    const size_t n = std::min(claimed_length(all[at]), all.size() - at);
    merger.add(static_cast<uint32_t>(n));
    at += n;
  }
  merger.run([&](uint32_t begin, uint32_t left, uint32_t right) {
    const int32_t id = vocabulary_.find(all.substr(begin, left + right));
    return id < 0 ? Merger::kNever : ranks_[static_cast<uint32_t>(id)];
  });

  for (const Symbol &symbol : merger.symbols) {
    if (symbol.size == 0) continue;
    const std::string_view piece = all.substr(symbol.begin, symbol.size);
    if (const int32_t id = vocabulary_.find(piece); id >= 0) {
      ids.push_back(id);
      continue;
    }
    for (const char c : piece)
      if (const int32_t id = byte_ids_[static_cast<uint8_t>(c)]; id >= 0) ids.push_back(id);
  }
}

void SpmTokenizer::decode_text(std::string_view text, std::string &bytes) const { append_spaced(text, bytes); }

} // namespace slm
