// text_stream.cpp: see text_stream.h.
#include "text_stream.h"

#include <cstring>

#include "tokenizer/utf8.h"

namespace slm {

void TextStream::reset() {
  stops_.clear();
  pending_.clear();
  hidden_.clear();
  shown_.clear();
  ready_.clear();
}

bool TextStream::push(std::string_view bytes, bool hidden) {
  pending_.append(bytes);
  hidden_.append(bytes.size(), hidden);
  size_t cut = std::string::npos;
  for (const std::string &stop : stops_) {
    const size_t at = pending_.find(stop);
    if (at < cut) cut = at;
  }
  if (cut == std::string::npos) return false;
  pending_.resize(cut);
  hidden_.resize(cut);
  stops_.clear(); // what is left cannot match any more and may all go out
  return true;
}

/// Bytes at the end of the pending text that begin some stop string.
size_t TextStream::held_back() const {
  size_t longest = 0;
  for (const std::string &stop : stops_)
    for (size_t n = stop.size() - 1; n > longest; n--)
      if (n <= pending_.size() && std::memcmp(pending_.data() + pending_.size() - n, stop.data(), n) == 0) longest = n;
  return longest;
}

size_t TextStream::take(bool flush, char *out, size_t capacity) {
  size_t n = pending_.size() - (flush ? 0 : held_back());
  for (size_t i = 0; i < n; i++)
    if (!hidden_[i]) shown_ += pending_[i];
  pending_.erase(0, n);
  hidden_.erase(0, n);

  n = flush ? shown_.size() : utf8_complete_prefix(shown_);
  utf8_sanitize({shown_.data(), n}, ready_);
  shown_.erase(0, n);

  n = ready_.size() < capacity ? ready_.size() : capacity;
  // Not in the middle of a character.
  while (n > 0 && n < ready_.size() && (static_cast<unsigned char>(ready_[n]) & 0xC0) == 0x80)
    n--;
  std::memcpy(out, ready_.data(), n);
  ready_.erase(0, n);
  return n;
}

} // namespace slm
