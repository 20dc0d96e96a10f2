// unigram.cpp: see unigram.h.
#include "unigram.h"

#include <algorithm>
#include <limits>

#include "utf8.h"

namespace slm {

namespace {

constexpr uint8_t kInText = kTokenNormal | kTokenUserDefined | kTokenUnused;
constexpr double kUnknownPenalty = 10; // below the least score, as SentencePiece has it
// All beginnings of what is left, up to this, are looked up at each character. Pieces have 16 characters at most,
// unless whoever trains the model asks for more.
constexpr size_t kMaxPiece = 256; // bytes

} // namespace

Status UnigramTokenizer::read(const Gguf &gguf) {
  SLM_TRY(vocabulary_.read(gguf, {.bos = -1, .eos = 1, .unknown = 2, .add_bos = false, .add_eos = true}));
  if (vocabulary_.unknown < 0)
    return fail(SLM_ERR_BAD_FILE, "metadata key 'tokenizer.ggml.unknown_token_id' is missing; convert the model again");
  bool found;
  SLM_TRY(gguf.get("tokenizer.ggml.add_space_prefix", adds_space_, found));
  SLM_TRY(gguf.get("tokenizer.ggml.remove_extra_whitespaces", merges_spaces_, found));
  std::span<const uint8_t> charsmap;
  SLM_TRY(gguf.get("tokenizer.ggml.precompiled_charsmap", charsmap, found));
  SLM_TRY(charsmap_.read(charsmap));
  return read_scores(gguf);
}

Status UnigramTokenizer::read_scores(const Gguf &gguf) {
  bool found;
  SLM_TRY(gguf.get("tokenizer.ggml.scores", scores_, found));
  if (scores_.size() < vocabulary_.size())
    return fail(SLM_ERR_BAD_FILE, "metadata key 'tokenizer.ggml.scores' has ", scores_.size(), " items; expected ",
                vocabulary_.size(), ", one for each token; convert the model again");
  float least = std::numeric_limits<float>::max();
  for (int32_t id = 0; vocabulary_.contains(id); ++id) {
    const uint8_t attributes = vocabulary_.attributes(id);
    float &score = scores_[static_cast<size_t>(id)];
    if (attributes & kTokenNormal) least = std::min(least, score);
    if (attributes & kTokenUserDefined) score = 0;
    if (!(attributes & kInText)) continue;
    const size_t size = vocabulary_.text(id).size();
    if (size > kMaxPiece)
      return fail(SLM_ERR_UNSUPPORTED, "metadata key 'tokenizer.ggml.tokens' has at ", id, " a token of ", size,
                  " bytes; expected at most ", kMaxPiece, "; convert the model again");
    longest_ = std::max(longest_, size);
  }
  unknown_score_ = least - kUnknownPenalty;
  return SLM_OK;
}

std::string UnigramTokenizer::normalized(std::string_view text) const {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  bool in_word = false, begun = false;
  while (!text.empty()) {
    const Charsmap::Step step = charsmap_.step(text);
    text.remove_prefix(step.size);
    for (const char c : step.text) {
      if (c == ' ') {
        in_word = false;
        if (!merges_spaces_) out += kSpaceSymbol;
        continue;
      }
      if (!in_word && (merges_spaces_ || (adds_space_ && !begun))) out += kSpaceSymbol, begun = true;
      in_word = true;
      out += c;
    }
  }
  return out;
}

void UnigramTokenizer::encode_text(std::string_view text, bool, std::vector<int32_t> &ids) const {
  const std::string all = normalized(text);
  const std::string_view whole = all;
  /// The best way to a place between characters: its last token and where that begins.
  struct Way {
    double score = -std::numeric_limits<double>::infinity();
    uint32_t begin = 0;
    int32_t token = -1;
  };
  std::vector<Way> ways(whole.size() + 1);
  ways[0].score = 0;
  const auto offer = [&](size_t begin, size_t end, int32_t token, double score) {
    const double sum = ways[begin].score + score;
    if (sum > ways[end].score) ways[end] = {sum, static_cast<uint32_t>(begin), token};
  };
  for (size_t at = 0, next; at < whole.size(); at = next) {
    next = at + utf8_step(whole.substr(at)).size;
    bool alone = false; // the character is a token
    for (size_t end = next; end - at <= longest_;) {
      const int32_t id = vocabulary_.find(whole.substr(at, end - at));
      if (id >= 0 && vocabulary_.attributes(id) & kInText) {
        alone |= end == next;
        offer(at, end, id, scores_[static_cast<size_t>(id)]);
      }
      if (end == whole.size()) break;
      end += utf8_step(whole.substr(end)).size;
    }
    if (!alone) offer(at, next, vocabulary_.unknown, unknown_score_);
  }

  const size_t before = ids.size();
  for (size_t end = whole.size(); end > 0; end = ways[end].begin) {
    const int32_t token = ways[end].token;
    // Unknown characters beside each other are one token.
    if (token != vocabulary_.unknown || ids.size() == before || ids.back() != token) ids.push_back(token);
  }
  std::reverse(ids.begin() + static_cast<ptrdiff_t>(before), ids.end());
}

void UnigramTokenizer::decode_text(std::string_view text, std::string &bytes) const { append_spaced(text, bytes); }

} // namespace slm
