// bpe.cpp: any bytes through byte-level BPE and back, under every
// pre-tokenizer. The vocabulary has a token for every byte, so that what comes
// back is the text, but for broken UTF-8, which decode_chars() defines.
#include "check.h"
#include "tokenizer/unicode.h"
#include "tokenizer/utf8.h"

namespace {

std::string repaired(std::string_view text) {
  std::vector<slm::Char> chars;
  slm::decode_chars(text, chars);
  std::string out;
  for (const slm::Char &c : chars)
    slm::utf8_append(c.code, out);
  return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const std::unique_ptr<LoadedTokenizer> tokenizers[] = {load_tokenizer("gpt-2"), load_tokenizer("smollm"),
                                                                load_tokenizer("llama-bpe"), load_tokenizer("qwen2"),
                                                                load_tokenizer("default")};
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  const std::string expected = repaired(text);
  for (const auto &loaded : tokenizers)
    for (const bool special : {false, true})
      check(there_and_back(*loaded->tokenizer, text, special) == expected);
  return 0;
}
