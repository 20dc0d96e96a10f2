// unigram.cpp: any bytes through the unigram tokenizer and back, which gives the
// same ids again unless something is unknown; and any bytes as the compiled table
// of its normalization, over the rest of them as a text.
#include <algorithm>

#include "check.h"
#include "tokenizer/charsmap.h"

namespace {

void normalize(std::span<const uint8_t> table, std::string_view text) {
  slm::Charsmap charsmap;
  if (charsmap.read(table) != SLM_OK) return;
  while (!text.empty()) {
    const slm::Charsmap::Step step = charsmap.step(text);
    check(step.size > 0 && step.size <= text.size() && step.text.size() <= 256);
    text.remove_prefix(step.size);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const auto loaded = load_tokenizer("unigram");
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  std::vector<int32_t> ids, again;
  loaded->tokenizer->encode(text, false, false, ids);
  const std::string back = there_and_back(*loaded->tokenizer, text, false);
  loaded->tokenizer->encode(back, false, false, again);
  const bool unknown = std::find(ids.begin(), ids.end(), 0) != ids.end();
  if (!unknown && text.find(slm::kSpaceSymbol) == std::string_view::npos) check(ids == again);

  const size_t cut = size == 0 ? 0 : 1 + data[0] * (size - 1) / 255;
  // Most tables that nobody made have no sizes that fit, so that one here has.
  std::vector<uint8_t> table(data, data + cut);
  normalize(table, text.substr(cut));
  const auto units = static_cast<uint32_t>(cut / 2 / 4 * 4);
  table.insert(table.begin(), {uint8_t(units), uint8_t(units >> 8), uint8_t(units >> 16), 0});
  table.push_back(0);
  normalize(table, text.substr(cut));
  return 0;
}
