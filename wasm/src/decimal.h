// decimal.h: integers as text. The library's std::to_string would bring printf
// and, with it, a request for a file system.
#pragma once

#include <cstdint>
#include <string>

namespace slm {

inline void append_decimal(std::string &out, uint64_t value) {
  char digits[20];
  char *first = digits + sizeof digits;
  do {
    *--first = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  out.append(first, digits + sizeof digits);
}

} // namespace slm
