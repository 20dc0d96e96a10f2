// utf8.cpp: see utf8.h. The ranges are those of table 3-7 of the Unicode
// Standard: only the second byte's range depends on the first byte.
#include "utf8.h"

namespace slm {

Utf8Step utf8_step(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return {first, 1, true, false};

  uint8_t length = 0, low = 0x80, high = 0xBF;
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3;
    if (first == 0xE0) low = 0xA0;  // shorter forms exist below
    if (first == 0xED) high = 0x9F; // surrogates above
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F; // U+10FFFF is the last
  } else {
    return {kReplacementCharacter, 1, false, false};
  }

  uint32_t code = first & (0x7F >> length);
  for (uint8_t i = 1; i < length; ++i) {
    if (i == text.size()) return {kReplacementCharacter, i, false, true};
    if (byte(i) < low || byte(i) > high) return {kReplacementCharacter, i, false, false};
    code = code << 6 | (byte(i) & 0x3F);
    low = 0x80;
    high = 0xBF;
  }
  return {code, length, true, false};
}

void utf8_append(uint32_t code, std::string &out) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    tail(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

size_t utf8_complete_prefix(std::string_view text) {
  // A cut sequence is at most three bytes long, but whether the last bytes are
  // one depends on where the sequences before them start. Every sequence starts
  // at a byte that is no continuation byte, so three bytes back are enough.
  for (size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const size_t at = text.size() - back;
    if ((static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) continue;
    const Utf8Step step = utf8_step(text.substr(at));
    return step.cut && step.size == back ? at : text.size();
  }
  return text.size();
}

void utf8_sanitize(std::string_view text, std::string &out) {
  while (!text.empty()) {
    const Utf8Step step = utf8_step(text);
    if (step.valid)
      out.append(text.data(), step.size);
    else
      utf8_append(kReplacementCharacter, out);
    text.remove_prefix(step.size);
  }
}

} // namespace slm
