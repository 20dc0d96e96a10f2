// utf8.cpp: text that arrives in two pieces comes out as if it had come at
// once, and what comes out is whole UTF-8.
#include "tokenizer/utf8.h"
#include "check.h"

using namespace slm;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  std::string at_once;
  utf8_sanitize(text, at_once);
  for (std::string_view rest = at_once; !rest.empty();) {
    const Utf8Step step = utf8_step(rest);
    check(step.valid);
    rest.remove_prefix(step.size);
  }

  for (size_t cut = 0; cut <= size && cut <= 64; ++cut) {
    const std::string_view arrived = text.substr(0, cut);
    const size_t complete = utf8_complete_prefix(arrived);
    check(complete <= cut && cut - complete <= 3);
    std::string in_pieces;
    utf8_sanitize(text.substr(0, complete), in_pieces);
    utf8_sanitize(text.substr(complete), in_pieces);
    check(in_pieces == at_once);
  }
  return 0;
}
