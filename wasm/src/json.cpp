// json.cpp: see json.h.
#include "json.h"

#include "decimal.h"
#include "tokenizer/utf8.h"

namespace slm {

Json &Json::open(char bracket) {
  comma();
  out_ += bracket;
  fresh_ = true;
  return *this;
}

Json &Json::close(char bracket) {
  out_ += bracket;
  fresh_ = false;
  return *this;
}

Json &Json::key(std::string_view name) {
  text(name);
  out_ += ':';
  fresh_ = true;
  return *this;
}

Json &Json::text(std::string_view s) {
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

Json &Json::number(uint64_t value) {
  comma();
  append_decimal(out_, value);
  return *this;
}

Json &Json::raw(std::string_view s) {
  comma();
  out_ += s;
  return *this;
}

void Json::comma() {
  if (!fresh_) out_ += ',';
  fresh_ = false;
}

} // namespace slm
