// spm.cpp: any bytes through the SentencePiece-style tokenizer and back. Its
// vocabulary has a token for every byte, so that nothing may get lost; only
// spaces may come (before text that follows a special token) or be U+2581.
#include "check.h"

namespace {

std::string without_spaces(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (text[0] == ' ') {
      text.remove_prefix(1);
    } else if (text.starts_with("\xE2\x96\x81")) {
      text.remove_prefix(3);
    } else {
      out += text[0];
      text.remove_prefix(1);
    }
  }
  return out;
}

std::string with_plain_spaces(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const bool symbol = text.starts_with("\xE2\x96\x81");
    out += symbol ? ' ' : text[0];
    text.remove_prefix(symbol ? 3 : 1);
  }
  return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const auto plain = load_tokenizer("spm");
  static const auto marked = load_tokenizer("spm-user-defined");
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  check(with_plain_spaces(there_and_back(*plain->tokenizer, text, false)) == with_plain_spaces(text));
  check(without_spaces(there_and_back(*plain->tokenizer, text, true)) == without_spaces(text));
  // Without a space in front nothing is added, special tokens or not.
  check(with_plain_spaces(there_and_back(*marked->tokenizer, text, false)) == with_plain_spaces(text));
  check(with_plain_spaces(there_and_back(*marked->tokenizer, text, true)) == with_plain_spaces(text));
  return 0;
}
