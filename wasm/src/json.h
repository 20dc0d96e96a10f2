// json.h: writes JSON for the host. Owns commas and escapes; strings come from
// files and are made valid UTF-8 first. Knows nothing of what is described.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace slm {

/// Writes one JSON value into a string, comma by comma.
class Json {
public:
  explicit Json(std::string &out) : out_(out) {}

  Json &open(char bracket);
  Json &close(char bracket);
  Json &key(std::string_view name);
  Json &text(std::string_view s);
  Json &number(uint64_t value);
  Json &raw(std::string_view s);

private:
  void comma();
  std::string &out_;
  bool fresh_ = true;
};

} // namespace slm
