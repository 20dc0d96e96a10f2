// utf8.h: strict UTF-8, one sequence at a time. Owns the question of where a
// sequence ends when it is broken or cut, answered as the WHATWG decoder does
// (a maximal broken prefix is one U+FFFD), so that text that leaves the core
// equals what a browser would have made of the same bytes. Knows no tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace slm {

inline constexpr uint32_t kReplacementCharacter = 0xFFFD;

/// One step of decoding: `size` bytes that are a whole sequence, a broken one
/// (`valid` is false), or the start of one that the text cuts off (`cut`).
struct Utf8Step {
  uint32_t code; // U+FFFD unless valid
  uint8_t size;  // 1 to 4
  bool valid;
  bool cut; // the text ends, but more bytes could make it valid
};

/// The step at the start of `text`, which must not be empty.
Utf8Step utf8_step(std::string_view text);

/// Appends `code` (at most U+10FFFF) to `out`.
void utf8_append(uint32_t code, std::string &out);

/// How many bytes at the start of `text` are whole sequences or definitely
/// broken ones; what follows is the start of a sequence that may still come.
size_t utf8_complete_prefix(std::string_view text);

/// Appends `text` to `out` with broken and cut sequences replaced by U+FFFD.
void utf8_sanitize(std::string_view text, std::string &out);

} // namespace slm
