// text_stream.h: from sampled bytes to text that can be shown: whole UTF-8 only,
// and nothing that may yet turn out to be part of a stop string.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace slm {

class TextStream {
public:
  void reset();
  void add_stop(std::string_view text) { stops_.emplace_back(text); }
  /// Takes the bytes of one token; true when they complete a stop string, which
  /// is then cut off together with all that follows. `hidden` bytes count for
  /// that and never come out.
  bool push(std::string_view bytes, bool hidden);
  /// Takes out at most `capacity` bytes of text that is ready; with `flush`
  /// all that is left, broken sequences replaced.
  size_t take(bool flush, char *out, size_t capacity);

private:
  size_t held_back() const;

  std::vector<std::string> stops_;
  std::string pending_; // may yet become part of a stop string
  std::string hidden_;  // 1 for each byte of pending_ that is not to come out, else 0
  std::string shown_;   // comes out, once it is whole UTF-8
  std::string ready_;   // valid UTF-8
};

} // namespace slm
