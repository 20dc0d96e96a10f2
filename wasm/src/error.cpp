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

void error_append(std::string_view text) {
  while (!text.empty() && !sentence.full) {
    const Utf8Step step = utf8_step(text);
    if (step.valid && !is_control(step.code))
      append_bytes(text.data(), step.size);
    else
      append_bytes("?", 1);
    text.remove_prefix(step.size);
  }
}

void error_append_number(uint64_t value) {
  char digits[20];
  char *first = digits + sizeof digits;
  do {
    *--first = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  append_bytes(first, static_cast<size_t>(digits + sizeof digits - first));
}

void error_append_number(int64_t value) {
  if (value < 0) append_bytes("-", 1);
  const uint64_t magnitude = static_cast<uint64_t>(value);
  error_append_number(value < 0 ? 0 - magnitude : magnitude);
}

const char *error_text() { return sentence.text; }

} // namespace slm
