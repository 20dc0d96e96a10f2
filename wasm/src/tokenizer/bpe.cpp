// bpe.cpp: see bpe.h. Merges are looked up by their text, not by token ids: a
// merge list may name parts that are no tokens, and the text costs no memory
// beyond the header that is kept anyway.
#include "bpe.h"

#include "utf8.h"

namespace slm {

namespace {

/// GPT-2's alphabet: printable Latin-1 characters stand for themselves, the
/// other bytes, in order, for the characters from U+0100 on.
constexpr bool stands_for_itself(uint32_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

constexpr uint32_t kSpace = 0x2581; // how Gemma 4 spells one

constexpr uint32_t kFirstMoved = 0x100;
constexpr uint32_t kMovedCount = 0x21 + (0xA1 - 0x7F) + 1;

struct Alphabet {
  uint16_t character[256];
  uint8_t moved[kMovedCount]; // the bytes of U+0100, U+0101, ...
};

constexpr Alphabet make_alphabet() {
  Alphabet alphabet{};
  uint32_t moved = 0;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    if (stands_for_itself(byte)) {
      alphabet.character[byte] = static_cast<uint16_t>(byte);
    } else {
      alphabet.moved[moved] = static_cast<uint8_t>(byte);
      alphabet.character[byte] = static_cast<uint16_t>(kFirstMoved + moved++);
    }
  }
  return alphabet;
}

constexpr Alphabet kAlphabet = make_alphabet();

uint64_t hash_pair(std::string_view left, std::string_view right) {
  return hash_bytes(left) * 0xD6E8FEB86659FD93 + hash_bytes(right);
}

} // namespace

Status BpeTokenizer::read(const Gguf &gguf) {
  std::string_view name = spelling_ == Spelling::Bytes ? "default" : "gemma4";
  bool found;
  SLM_TRY(gguf.get("tokenizer.ggml.pre", name, found));
  pretokenizer_ = find_pretokenizer(name);
  if (!pretokenizer_ || (name == "gemma4") != (spelling_ == Spelling::Characters))
    return fail(SLM_ERR_UNSUPPORTED, "metadata key 'tokenizer.ggml.pre' is '", name,
                "', which cuts words in a way that is not known here for '", this->name(),
                "'; choose a model with a pre-tokenizer such as gpt-2, llama-bpe or qwen2");
  SLM_TRY(vocabulary_.read(gguf, {.bos = -1, .eos = -1, .unknown = -1, .add_bos = pretokenizer_->add_bos}));
  return read_merges(gguf);
}

Status BpeTokenizer::read_merges(const Gguf &gguf) {
  bool found;
  SLM_TRY(gguf.get("tokenizer.ggml.merges", merges_, found));
  if (!found)
    return fail(SLM_ERR_BAD_FILE, "metadata key 'tokenizer.ggml.merges' is missing; expected the list of merges; "
                                  "convert the model again");
  merge_index_.reset(merges_.size());
  for (uint32_t i = 0; i < merges_.size(); ++i) {
    const std::string_view merge = merges_[i];
    const size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos)
      return fail(SLM_ERR_BAD_FILE, "metadata key 'tokenizer.ggml.merges' has '", merge, "' at ", i,
                  "; expected two parts with a space between; convert the model again");
    const uint64_t hash = hash_pair(merge.substr(0, space), merge.substr(space + 1));
    // Of equal merges the first counts, so that a duplicate changes nothing.
    if (merge_index_.add(i, hash, [&](uint32_t other) { return merges_[other] == merge; }) ==
        HashIndex::Added::Degenerate)
      return fail(SLM_ERR_BAD_FILE, "metadata key 'tokenizer.ggml.merges' has at ", i,
                  " the hash of hundreds of others; expected real merges; fetch the file again");
  }
  return SLM_OK;
}

/// The place of this pair in the merge list. Neither part contains a space: the
/// alphabet has none, and Gemma 4 spells it U+2581.
uint32_t BpeTokenizer::rank(std::string_view left, std::string_view right) const {
  const uint32_t i = merge_index_.find(hash_pair(left, right), [&](uint32_t id) {
    const std::string_view merge = merges_[id];
    return merge.size() == left.size() + 1 + right.size() && merge[left.size()] == ' ' && merge.starts_with(left) &&
           merge.ends_with(right);
  });
  return i == HashIndex::kNone ? Merger::kNever : i;
}

void BpeTokenizer::spell(Chars word, std::string &spelled, Merger &merger) const {
  spelled.clear();
  merger.clear();
  std::string bytes;
  for (const Char &c : word) {
    bytes.clear();
    utf8_append(spelling_ == Spelling::Characters && c.code == ' ' ? kSpace : c.code, bytes);
    if (spelling_ == Spelling::Characters) {
      spelled += bytes;
      merger.add(static_cast<uint32_t>(bytes.size()));
      continue;
    }
    for (const char byte : bytes) {
      const uint32_t character = kAlphabet.character[static_cast<uint8_t>(byte)];
      utf8_append(character, spelled);
      merger.add(character < 0x80 ? 1 : 2);
    }
  }
}

/// What no token spells falls apart into the bytes of its spelling, and those that are no tokens are lost: llama.cpp
/// does the same.
void BpeTokenizer::encode_bytes(std::string_view piece, std::vector<int32_t> &ids) const {
  for (size_t i = 0; i < piece.size(); ++i) {
    constexpr char kDigits[] = "0123456789ABCDEF";
    const auto byte = static_cast<uint8_t>(piece[i]);
    const char name[] = {'<', '0', 'x', kDigits[byte >> 4], kDigits[byte & 15], '>'};
    const bool by_name = spelling_ == Spelling::Characters;
    const std::string_view text = by_name ? std::string_view(name, sizeof name) : piece.substr(i, 1);
    if (const int32_t id = vocabulary_.find(text); id >= 0) ids.push_back(id);
  }
}

void BpeTokenizer::encode_text(std::string_view text, bool, std::vector<int32_t> &ids) const {
  std::vector<Char> chars;
  decode_chars(text, chars);
  std::string spelled;
  Merger merger;
  split_words(Chars(chars), pretokenizer_->splitters, [&](Chars word) {
    spell(word, spelled, merger);
    const std::string_view all = spelled;
    // Gemma 4's merges make no runs of line breaks, which are tokens.
    if (pretokenizer_->ignore_merges || (spelling_ == Spelling::Characters && all[0] == '\n'))
      if (const int32_t id = vocabulary_.find(all); id >= 0) {
        ids.push_back(id);
        return;
      }
    merger.run([&](uint32_t begin, uint32_t left, uint32_t right) {
      return rank(all.substr(begin, left), all.substr(begin + left, right));
    });
    for (const Symbol &symbol : merger.symbols) {
      if (symbol.size == 0) continue;
      const std::string_view piece = all.substr(symbol.begin, symbol.size);
      if (const int32_t id = vocabulary_.find(piece); id >= 0) {
        ids.push_back(id);
        continue;
      }
      encode_bytes(piece, ids);
    }
  });
}

/// Characters outside the alphabet stand for themselves.
void BpeTokenizer::decode_text(std::string_view text, std::string &bytes) const {
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    if (spelling_ == Spelling::Characters)
      bytes += step.code == kSpace ? " " : text.substr(0, step.size);
    else if (step.valid && step.code >= kFirstMoved && step.code < kFirstMoved + kMovedCount)
      bytes += static_cast<char>(kAlphabet.moved[step.code - kFirstMoved]);
    else if (step.valid && step.code < kFirstMoved && stands_for_itself(step.code))
      bytes += static_cast<char>(step.code);
    else
      bytes += text.substr(0, step.size);
    text.remove_prefix(step.size);
  }
}

} // namespace slm
