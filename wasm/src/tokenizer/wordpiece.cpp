// wordpiece.cpp: see wordpiece.h.
#include "wordpiece.h"

#include <algorithm>

#include "utf8.h"

namespace slm {

namespace {

constexpr std::string_view kWordSymbol = kSpaceSymbol; // before a token that begins a word
constexpr size_t kLongestWord = 100;                   // characters; the same in every BERT's tokenizer

/// Ideographs, each of which is a word (as tokenizers has it: of Extension E without its first rows).
bool is_ideograph(uint32_t code) {
  constexpr uint32_t kBlocks[][2] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},   {0x20000, 0x2A6DF},
                                     {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F}};
  return std::any_of(std::begin(kBlocks), std::end(kBlocks),
                     [&](const uint32_t (&block)[2]) { return code >= block[0] && code <= block[1]; });
}

/// Punctuation, and every sign of ASCII.
bool stands_alone(uint32_t code) {
  if (code < 0x7F) {
    const uint32_t small = code | 0x20;
    return code > ' ' && !(code >= '0' && code <= '9') && !(small >= 'a' && small <= 'z');
  }
  return char_class(code) == CharClass::Punctuation;
}

} // namespace

Status WordPieceTokenizer::read(const Gguf &gguf) {
  SLM_TRY(vocabulary_.read(gguf, {.bos = 101, .eos = 102, .unknown = 100, .add_bos = true, .encloses = true}));
  // What these models were made with; the keys are younger than most files.
  bool lowercase = true, strip_accents = true, found;
  SLM_TRY(gguf.get("tokenizer.ggml.normalizer.lowercase", lowercase, found));
  SLM_TRY(gguf.get("tokenizer.ggml.normalizer.strip_accents", strip_accents, found));
  if (!lowercase || !strip_accents)
    return fail(SLM_ERR_UNSUPPORTED,
                "this model tells capitals or accents apart, which WordPiece does not do here; take an uncased one");
  if (vocabulary_.unknown < 0)
    return fail(SLM_ERR_BAD_FILE, "metadata key 'tokenizer.ggml.unknown_token_id' is missing; convert the model again");
  adds_space_ = true;
  return SLM_OK;
}

void WordPieceTokenizer::encode_text(std::string_view text, bool, std::vector<int32_t> &ids) const {
  std::vector<Char> chars;
  decode_chars(text, chars);
  std::string word;
  size_t n = 0;
  const auto end_word = [&] {
    if (n > 0) encode_word(word, n, ids);
    word = kWordSymbol, n = 0;
  };
  end_word();
  for (const Char &c : chars) {
    if (c.kind == CharClass::Space) {
      end_word();
      continue;
    }
    if (c.code == 0 || c.code == kReplacementCharacter) continue;
    // Where ideographs are cut out, they have not been decomposed.
    const bool whole = is_ideograph(c.code);
    if (whole) end_word();
    folding_.apply(c.code, [&](uint32_t code) {
      const bool alone = stands_alone(code);
      if (alone) end_word();
      utf8_append(code, word);
      n++;
      if (alone) end_word();
    });
    if (whole) end_word();
  }
  end_word();
}

void WordPieceTokenizer::encode_word(std::string_view word, size_t n, std::vector<int32_t> &ids) const {
  const size_t before = ids.size();
  while (!word.empty() && n <= kLongestWord) {
    size_t length = std::min(word.size(), vocabulary_.longest());
    int32_t id = -1;
    for (; length > 0; length--)
      if (id = vocabulary_.find(word.substr(0, length)); id >= 0) break;
    if (id < 0) break;
    ids.push_back(id);
    word.remove_prefix(length);
  }
  if (word.empty()) return;
  ids.resize(before);
  ids.push_back(vocabulary_.unknown);
}

void WordPieceTokenizer::decode_text(std::string_view text, std::string &bytes) const {
  if (text.substr(0, kWordSymbol.size()) == kWordSymbol) {
    bytes += ' ';
    text.remove_prefix(kWordSymbol.size());
  }
  bytes += text;
}

} // namespace slm
