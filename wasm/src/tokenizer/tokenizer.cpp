// tokenizer.cpp: see tokenizer.h.
#include "tokenizer.h"

#include "bpe.h"
#include "spm.h"
#include "unigram.h"
#include "wordpiece.h"

namespace slm {

namespace {

// Special tokens longer than this would make cutting them out slow; the
// longest in use take about 40 bytes.
constexpr size_t kMaxSpecialLength = 256;

constexpr uint8_t kNeverInText = kTokenControl | kTokenUnknown; // unless special tokens are parsed
constexpr uint8_t kSpecial = kNeverInText | kTokenUserDefined;

bool is_ascii_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// The byte of "<0x0A>", or -1.
int32_t byte_of_name(std::string_view text) {
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; };
  if (text.size() != 6 || text.substr(0, 3) != "<0x" || text[5] != '>') return -1;
  const int32_t high = digit(text[3]), low = digit(text[4]);
  return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/// Whether [begin, end) shares a byte with a plain stretch: the first one that
/// ends behind `begin` has to begin before `end`.
bool touches(std::span<const uint32_t> plain, size_t begin, size_t end) {
  size_t low = 0, high = plain.size() / 2;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    if (plain[2 * middle + 1] > begin)
      high = middle;
    else
      low = middle + 1;
  }
  return low < plain.size() / 2 && plain[2 * low] < end;
}

} // namespace

Status Tokenizer::create(const Gguf &gguf, std::unique_ptr<Tokenizer> &out) {
  std::string_view model;
  bool found;
  SLM_TRY(gguf.get("tokenizer.ggml.model", model, found));
  std::unique_ptr<Tokenizer> tokenizer;
  if (model == "llama")
    tokenizer = std::make_unique<SpmTokenizer>();
  else if (model == "gpt2")
    tokenizer = std::make_unique<BpeTokenizer>(BpeTokenizer::Spelling::Bytes);
  else if (model == "gemma4")
    tokenizer = std::make_unique<BpeTokenizer>(BpeTokenizer::Spelling::Characters);
  else if (model == "bert")
    tokenizer = std::make_unique<WordPieceTokenizer>();
  else if (model == "t5")
    tokenizer = std::make_unique<UnigramTokenizer>();
  else if (found)
    return fail(SLM_ERR_UNSUPPORTED, "metadata key 'tokenizer.ggml.model' is '", model,
                "'; expected 'llama', 'gpt2', 'gemma4', 'bert' or 't5'; choose a model with one of these tokenizers");
  else
    return fail(SLM_ERR_BAD_FILE, "metadata key 'tokenizer.ggml.model' is missing; expected 'llama', 'gpt2', "
                                  "'bert' or 't5'; convert the model again with its tokenizer");
  SLM_TRY(tokenizer->read(gguf));
  SLM_TRY(tokenizer->find_special_lengths());
  out = std::move(tokenizer);
  return SLM_OK;
}

Status Tokenizer::find_special_lengths() {
  std::vector<SpecialLength> by_length(kMaxSpecialLength + 1);
  for (int32_t id = 0; vocabulary_.contains(id); ++id) {
    const std::string_view text = vocabulary_.text(id);
    if (text.empty() || !(vocabulary_.attributes(id) & kSpecial)) continue;
    if (text.size() > kMaxSpecialLength)
      return fail(SLM_ERR_UNSUPPORTED, "metadata key 'tokenizer.ggml.tokens' has at ", id, " a special token of ",
                  text.size(), " bytes; expected at most ", kMaxSpecialLength, "; convert the model again");
    SpecialLength &entry = by_length[text.size()];
    const auto first = static_cast<uint8_t>(text[0]);
    entry.length = static_cast<uint16_t>(text.size());
    entry.first_bytes[first / 32] |= 1u << first % 32;
    entry.user_defined |= is_special(id, false);
  }
  for (size_t length = kMaxSpecialLength; length > 0; --length)
    if (by_length[length].length) special_lengths_.push_back(by_length[length]);
  return SLM_OK;
}

bool Tokenizer::is_special(int32_t id, bool special) const {
  const uint8_t attributes = vocabulary_.attributes(id);
  return special ? attributes & kSpecial : (attributes & kSpecial) == kTokenUserDefined;
}

/// Of special tokens that overlap the leftmost is cut out, and of those that
/// begin together the longest, as transformers does it.
void Tokenizer::cut_special(std::string_view text, bool special, std::span<const uint32_t> plain,
                            std::vector<Fragment> &fragments) const {
  size_t begin = 0, at = 0;
  while (at < text.size()) {
    const auto first = static_cast<uint8_t>(text[at]);
    int32_t id = -1;
    size_t n = 0;
    for (const SpecialLength &lengths : special_lengths_) {
      n = lengths.length;
      if (n > text.size() - at || !(lengths.first_bytes[first / 32] >> first % 32 & 1)) continue;
      if (!(special || lengths.user_defined)) continue;
      id = vocabulary_.find(text.substr(at, n));
      if (id >= 0 && is_special(id, special && !touches(plain, at, at + n))) break;
      id = -1;
    }
    if (id < 0) {
      ++at;
      continue;
    }
    if (at > begin) fragments.push_back({begin, at, -1});
    fragments.push_back({at, at + n, id});
    at += n;
    if (vocabulary_.attributes(id) & kTokenStripsRight)
      while (at < text.size() && is_ascii_space(text[at]))
        ++at;
    begin = at;
  }
  if (begin < text.size()) fragments.push_back({begin, text.size(), -1});
}

void Tokenizer::encode(std::string_view text, bool special, bool bos, std::vector<int32_t> &ids,
                       std::span<const uint32_t> plain) const {
  if (bos && vocabulary_.add_bos && vocabulary_.bos >= 0) ids.push_back(vocabulary_.bos);
  if (!text.empty()) {
    std::vector<Fragment> fragments;
    cut_special(text, special, plain, fragments);
    bool prefix = true;
    for (const Fragment &fragment : fragments) {
      if (fragment.token >= 0)
        ids.push_back(fragment.token);
      else
        encode_text(text.substr(fragment.begin, fragment.end - fragment.begin), prefix, ids);
      prefix = fragment.token >= 0;
    }
  }
  if (bos && vocabulary_.add_eos && vocabulary_.eos >= 0) ids.push_back(vocabulary_.eos);
}

void Tokenizer::append_spaced(std::string_view text, std::string &bytes) {
  while (!text.empty()) {
    const size_t space = text.find(kSpaceSymbol);
    bytes += text.substr(0, space);
    if (space == std::string_view::npos) return;
    bytes += ' ';
    text.remove_prefix(space + kSpaceSymbol.size());
  }
}

void Tokenizer::decode(int32_t id, bool special, std::string &bytes) const {
  if (!vocabulary_.contains(id)) return;
  const uint8_t attributes = vocabulary_.attributes(id);
  const std::string_view text = vocabulary_.text(id);
  if (attributes & kNeverInText) {
    if (special) bytes += text;
  } else if (attributes & kTokenUserDefined) {
    bytes += text;
  } else if (attributes & kTokenNormal) {
    decode_text(text, bytes);
  } else if (attributes & kTokenByte) {
    if (const int32_t byte = byte_of_name(text); byte >= 0) bytes += static_cast<char>(byte);
  }
}

void Tokenizer::decode(const int32_t *ids, size_t n, bool special, std::string &bytes) const {
  bool at_start = adds_space_;
  for (size_t i = 0; i < n; ++i) {
    const size_t before = bytes.size();
    decode(ids[i], special, bytes);
    if (!at_start || bytes.size() == before) continue;
    if (bytes[before] == ' ') bytes.erase(before, 1);
    at_start = false;
  }
}

} // namespace slm
