// error.h: how the core fails. A function that can fail returns a Status; the
// sentence is kept per thread and fetched by slm_error(). No exceptions: the
// core is built without them. Messages are put together from pieces so that the
// module needs no printf (20 KB).
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include "slm.h"

namespace slm {

using Status = slm_status;

/// Clears, extends and reads this thread's sentence (at most 1023 bytes; the
/// rest is cut at a character boundary). Control characters and invalid UTF-8
/// from hostile names are replaced by '?'.
void error_clear();
void error_append(std::string_view text);
void error_append_number(int64_t value);
void error_append_number(uint64_t value);
const char *error_text();

namespace detail {
template <class T> void append(const T &piece) {
  if constexpr (std::is_integral_v<T> && std::is_signed_v<T>)
    error_append_number(static_cast<int64_t>(piece));
  else if constexpr (std::is_integral_v<T>)
    error_append_number(static_cast<uint64_t>(piece));
  else
    error_append(std::string_view(piece));
}
} // namespace detail

/// Records a sentence made of strings and integers and returns `code`:
///   return fail(SLM_ERR_BAD_FILE, "tensor '", name, "' has ", n, " dimensions; ...");
template <class... Pieces> [[nodiscard]] Status fail(Status code, const Pieces &...pieces) {
  error_clear();
  (detail::append(pieces), ...);
  return code;
}

} // namespace slm

/// Returns from the enclosing function when `expression` is not SLM_OK.
#define SLM_TRY(expression)                                                                                            \
  do {                                                                                                                 \
    if (::slm::Status slm_try_status = (expression); slm_try_status != SLM_OK) return slm_try_status;                  \
  } while (0)
