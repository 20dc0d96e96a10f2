// unicode.cpp: see unicode.h.
#include "unicode.h"

#include <algorithm>
#include <iterator>

#include "utf8.h"

namespace slm {

namespace {

/// The number at `byte`, seven bits to a byte, which is left behind it.
uint32_t read_number(const uint8_t *&byte) {
  uint32_t number = 0;
  for (int shift = 0;; shift += 7) {
    number |= uint32_t{*byte & 0x7Fu} << shift;
    if (!(*byte++ & 0x80)) return number;
  }
}

/// The runs as their first code points, shifted left by 3, and their classes.
struct CharClassRuns {
  uint32_t runs[kCharClassRunCount];

  CharClassRuns() {
    const uint8_t *byte = kCharClassRuns;
    uint32_t first = 0;
    for (uint32_t &run : runs) {
      const uint32_t packed = read_number(byte);
      run = first << 3 | (packed & 7);
      first += packed >> 3;
    }
  }
};

const CharClassRuns unpacked;

} // namespace

CharClass char_class(uint32_t code) {
  const uint32_t *after = std::upper_bound(std::begin(unpacked.runs), std::end(unpacked.runs), code << 3 | 7);
  return static_cast<CharClass>(after[-1] & 7);
}

Folding::Folding() : runs_(kFoldRunCount) {
  const uint8_t *byte = kFoldRuns;
  uint32_t end = 0;
  for (Run &run : runs_) {
    run.first = end + read_number(byte);
    const uint32_t packed = read_number(byte);
    run.step = (packed >> 2 & 1) + 1;
    run.n = packed & 3;
    run.last = run.first + (packed >> 3) * run.step;
    end = run.last + 1;
    for (uint32_t i = 0; i < run.n; i++) {
      const uint32_t zigzag = read_number(byte);
      run.deltas[i] = zigzag >> 1 ^ (0 - (zigzag & 1));
    }
  }
}

const Folding::Run *Folding::find(uint32_t code) const {
  const auto after =
      std::upper_bound(runs_.begin(), runs_.end(), code, [](uint32_t c, const Run &run) { return c < run.first; });
  if (after == runs_.begin()) return nullptr;
  const Run &run = after[-1];
  return code <= run.last && (code - run.first) % run.step == 0 ? &run : nullptr;
}

namespace {

/// The code point of the sequence at the start of `text` and its length, or
/// U+FFFD and 1. Unlike utf8_step() it does not ask for the shortest form.
uint32_t decode_leniently(std::string_view text, size_t &length) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  length = 1;
  const uint8_t first = byte(0);
  if (first < 0x80) return first;
  const size_t n = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF8 ? 4 : 1;
  if (n == 1 || n > text.size()) return kReplacementCharacter;
  uint32_t code = first & (0x7F >> n);
  for (size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return kReplacementCharacter;
    code = code << 6 | (byte(i) & 0x3F);
  }
  if (code > 0x10FFFF) return kReplacementCharacter;
  length = n;
  return code;
}

} // namespace

void decode_chars(std::string_view text, std::vector<Char> &chars) {
  chars.clear();
  chars.reserve(text.size());
  // Most text is ASCII, where a table of 128 replaces the search.
  CharClass ascii[128];
  for (uint32_t code = 0; code < 128; ++code)
    ascii[code] = char_class(code);
  while (!text.empty()) {
    size_t length;
    const uint32_t code = decode_leniently(text, length);
    chars.push_back({code, code < 128 ? ascii[code] : char_class(code)});
    text.remove_prefix(length);
  }
}

} // namespace slm
