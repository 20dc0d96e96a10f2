// error.cpp: the sentence of this thread's last error. Owns its buffer and
// keeps it printable, since pieces of it (keys, tensor names) come out of files
// that we do not trust. Knows nothing of what failed.
#include "error.h"

#include <cstring>

#include "tokenizer/utf8.h"

namespace slm {

namespace {

constexpr size_t kCapacity = 1024; // with the NUL; no sentence of ours is longer

struct Sentence {
  char text[kCapacity];
  size_t size;
  bool full; // something was cut off: nothing more may follow it
};

thread_local Sentence sentence;

void append_bytes(const char *bytes, size_t n) {
  if (sentence.full || n >= kCapacity - sentence.size) {
    sentence.full = true;
    return;
  }
  memcpy(sentence.text + sentence.size, bytes, n);
  sentence.size += n;
  sentence.text[sentence.size] = '\0';
}

bool is_control(uint32_t code) { return code < 0x20 || (code >= 0x7F && code < 0xA0); }

} // namespace

void error_clear() {
  sentence.size = 0;
  sentence.full = false;
  sentence.text[0] = '\0';
}

const char Piece::kNegative[1] = {};

void append_text(std::string_view text) {
  while (!text.empty() && !sentence.full) {
    const Utf8Step step = utf8_step(text);
    if (step.valid && !is_control(step.code))
      append_bytes(text.data(), step.size);
    else
      append_bytes("?", 1);
    text.remove_prefix(step.size);
  }
}

void append_number(uint64_t value) {
  char digits[20];
  char *first = digits + sizeof digits;
  do {
    *--first = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  append_bytes(first, static_cast<size_t>(digits + sizeof digits - first));
}

void error_append(const Piece &piece) {
  if (piece.text_ == Piece::kNegative) {
    append_bytes("-", 1);
    append_number(0 - piece.value_);
  } else if (piece.text_ == nullptr) {
    append_number(piece.value_);
  } else {
    append_text(piece.value_ == Piece::kUntilNul ? std::string_view(piece.text_)
                                                 : std::string_view(piece.text_, static_cast<size_t>(piece.value_)));
  }
}

Status fail_with(Status code, const Piece *pieces, size_t n) {
  error_clear();
  for (size_t i = 0; i < n; ++i)
    error_append(pieces[i]);
  return code;
}

const char *error_text() { return sentence.text; }

} // namespace slm
