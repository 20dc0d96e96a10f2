// charsmap.cpp: see charsmap.h.
#include "charsmap.h"

#include <algorithm>
#include <cstring>

#include "utf8.h"

namespace slm {

namespace {

// A unit: the byte that leads to it (with bit 31, where it holds a value in its other bits), whether a value lies at
// its children's base, and how far off that base is, by exclusive or.
uint32_t label(uint32_t unit) { return unit & (1u << 31 | 0xFF); }
bool has_value(uint32_t unit) { return unit >> 8 & 1; }
uint32_t base(uint32_t unit) { return unit >> 10 << ((unit & 1u << 9) >> 6); }
uint32_t value(uint32_t unit) { return unit & ~(1u << 31); }

// Of what one beginning becomes: Unicode's longest has 33 bytes, and a text may be all of it.
constexpr size_t kMaxReplacement = 64;
// Of a beginning that becomes something: a few characters. A damaged trie may lead back to itself.
constexpr size_t kMaxDepth = 256;

} // namespace

Status Charsmap::read(std::span<const uint8_t> bytes) {
  if (bytes.empty()) return SLM_OK;
  uint32_t size = 0;
  if (bytes.size() >= sizeof size) std::memcpy(&size, bytes.data(), sizeof size);
  if (size < sizeof size || size % sizeof size != 0 || bytes.size() - sizeof size <= size || bytes.back() != 0)
    return fail(SLM_ERR_BAD_FILE, "metadata key 'tokenizer.ggml.precompiled_charsmap' has ", bytes.size(),
                " bytes that are no trie and texts; convert the model again");
  units_ = bytes.subspan(sizeof size, size);
  texts_ = bytes.subspan(sizeof size + size);
  size_t run = 0;
  for (const uint8_t byte : texts_) {
    run = byte == 0 ? 0 : run + 1;
    if (run > kMaxReplacement)
      return fail(SLM_ERR_UNSUPPORTED, "metadata key 'tokenizer.ggml.precompiled_charsmap' has a text of more than ",
                  kMaxReplacement, " bytes for a character; convert the model again");
  }
  return SLM_OK;
}

uint32_t Charsmap::unit(uint32_t at) const {
  uint32_t found = 0;
  if (at < units_.size() / sizeof found) std::memcpy(&found, units_.data() + at * sizeof found, sizeof found);
  return found;
}

Charsmap::Step Charsmap::step(std::string_view text) const {
  std::string_view longest;
  size_t size = 0;
  uint32_t at = base(unit(0));
  for (size_t i = 0; i < std::min(text.size(), kMaxDepth) && text[i] != 0; i++) {
    at ^= static_cast<uint8_t>(text[i]);
    const uint32_t found = unit(at);
    if (label(found) != static_cast<uint8_t>(text[i])) break;
    at ^= base(found);
    if (!has_value(found)) continue;
    const uint32_t begin = value(unit(at));
    if (begin >= texts_.size()) break;
    longest = reinterpret_cast<const char *>(texts_.data() + begin); // the last byte of all is NUL
    size = i + 1;
  }
  if (size != 0) return {longest, size};
  const Utf8Step first = utf8_step(text);
  return first.valid ? Step{text.substr(0, first.size), first.size} : Step{"\xEF\xBF\xBD", 1};
}

} // namespace slm
