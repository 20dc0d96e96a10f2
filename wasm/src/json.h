// json.h: writes JSON for the host. Owns commas and escapes; strings come from
// files and are made valid UTF-8 first. Knows nothing of what is described.
#pragma once

#include <string>
#include <string_view>

#include "decimal.h"
#include "tokenizer/utf8.h"

namespace slm {

/// Writes one JSON value into a string, comma by comma.
class Json {
public:
  explicit Json(std::string &out) : out_(out) {}

  Json &open(char bracket) {
    comma();
    out_ += bracket;
    fresh_ = true;
    return *this;
  }
  Json &close(char bracket) {
    out_ += bracket;
    fresh_ = false;
    return *this;
  }
  Json &key(std::string_view name) {
    text(name);
    out_ += ':';
    fresh_ = true;
    return *this;
  }
  Json &text(std::string_view s) {
    comma();
    out_ += '"';
    std::string clean;
    utf8_sanitize(s, clean);
    for (const char c : clean) {
      if (c == '"' || c == '\\')
        (out_ += '\\') += c;
      else if (static_cast<unsigned char>(c) >= 0x20)
        out_ += c;
      else {
        constexpr char kHex[] = "0123456789abcdef";
        (out_ += "\\u00") += kHex[c >> 4];
        out_ += kHex[c & 15];
      }
    }
    out_ += '"';
    return *this;
  }
  Json &number(uint64_t value) {
    comma();
    append_decimal(out_, value);
    return *this;
  }
  Json &raw(std::string_view s) {
    comma();
    out_ += s;
    return *this;
  }

private:
  void comma() {
    if (!fresh_) out_ += ',';
    fresh_ = false;
  }
  std::string &out_;
  bool fresh_ = true;
};

} // namespace slm
