// error.h: how the core fails. A function that can fail returns a Status; the
// sentence is kept per thread and fetched by slm_error(). No exceptions: the
// core is built without them. Messages are put together from pieces so that the
// module needs no printf (20 KB).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#include "slm.h"

namespace slm {

using Status = slm_status;

/// A piece of a sentence: text or an integer. Small enough to be put together
/// at a call for a few bytes of code, of which the core has a hundred.
class Piece {
public:
  Piece(const char *text) : text_(text), value_(kUntilNul) {}
  Piece(std::string_view text) : text_(text.data() ? text.data() : ""), value_(text.size()) {}
  Piece(const std::string &text) : Piece(std::string_view(text)) {}
  template <class T>
    requires std::is_integral_v<T>
  Piece(T value)
      : text_(std::is_signed_v<T> && value < 0 ? kNegative : nullptr), value_(static_cast<uint64_t>(value)) {}

private:
  friend void error_append(const Piece &piece);
  static constexpr uint64_t kUntilNul = UINT64_MAX;
  static const char kNegative[1]; // its address marks a number below zero

  const char *text_; // nullptr: a number
  uint64_t value_;   // the number, or the text's length
};

/// Clears, extends and reads this thread's sentence (at most 1023 bytes; the
/// rest is cut at a character boundary). Control characters and invalid UTF-8
/// from hostile names are replaced by '?'.
void error_clear();
void error_append(const Piece &piece);
const char *error_text();

Status fail_with(Status code, const Piece *pieces, size_t n);

/// Records a sentence made of strings and integers and returns `code`:
///   return fail(SLM_ERR_BAD_FILE, "tensor '", name, "' has ", n, " dimensions; ...");
template <class... Pieces> [[nodiscard]] inline Status fail(Status code, const Pieces &...pieces) {
  const Piece list[] = {Piece(pieces)...};
  return fail_with(code, list, sizeof...(pieces));
}

} // namespace slm

/// Returns from the enclosing function when `expression` is not SLM_OK.
#define SLM_TRY(expression)                                                                                            \
  do {                                                                                                                 \
    if (::slm::Status slm_try_status = (expression); slm_try_status != SLM_OK) return slm_try_status;                  \
  } while (0)
