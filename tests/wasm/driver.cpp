// driver.cpp: the C ABI behind a pipe, so that tests drive the sanitized core
// from Python without loading it into Python's process. One request, one
// answer; every block of bytes lies in an allocation of exactly its size, which
// lets AddressSanitizer see the first byte read past it. Knows no test.
//
//   request: command (1 byte), number (f64), n (u32), n bytes
//   answer:  status (i32), n (u32), n bytes: a sentence, ids, text or JSON
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "slm.h"

namespace {

template <class T> bool receive(T &value) { return fread(&value, sizeof value, 1, stdin) == 1; }

void answer(int32_t status, const void *bytes, size_t n) {
  const auto size = static_cast<uint32_t>(n);
  fwrite(&status, sizeof status, 1, stdout);
  fwrite(&size, sizeof size, 1, stdout);
  fwrite(bytes, 1, n, stdout);
  fflush(stdout);
}

struct Session {
  slm_model *model = slm_model_new();
  ~Session() { slm_model_free(model); }
};

void tokenize(slm_model *model, uint32_t flags, const uint8_t *bytes, uint32_t n) {
  const char *text = reinterpret_cast<const char *>(bytes);
  const int32_t count = slm_tokenize(model, text, n, flags, nullptr, 0, nullptr, 0);
  std::vector<int32_t> ids(count > 0 ? static_cast<size_t>(count) : 0);
  slm_tokenize(model, text, n, flags, nullptr, 0, ids.data(), static_cast<uint32_t>(ids.size()));
  answer(count, ids.data(), ids.size() * sizeof(int32_t));
}

void detokenize(slm_model *model, uint32_t flags, const uint8_t *bytes, uint32_t n) {
  std::vector<int32_t> ids(n / sizeof(int32_t));
  if (n > 0) memcpy(ids.data(), bytes, n);
  const auto n_ids = static_cast<uint32_t>(ids.size());
  const int32_t count = slm_detokenize(model, ids.data(), n_ids, flags, nullptr, 0);
  std::vector<char> text(count > 0 ? static_cast<size_t>(count) : 0);
  slm_detokenize(model, ids.data(), n_ids, flags, text.data(), static_cast<uint32_t>(text.size()));
  answer(count, text.data(), text.size());
}

} // namespace

int main() {
  auto session = std::make_unique<Session>();
  char command;
  double number;
  uint32_t n;
  while (receive(command) && receive(number) && receive(n)) {
    const std::unique_ptr<uint8_t[]> bytes(new uint8_t[n]);
    if (fread(bytes.get(), 1, n, stdin) != n) return 1;
    slm_model *model = session->model;
    int32_t status = SLM_OK;
    switch (command) {
    case 'n': // a new model
      session = std::make_unique<Session>();
      break;
    case 'h': // a header; the number is the file's size
      status = slm_model_header(model, bytes.get(), n, number);
      break;
    case 'l':
      status = slm_model_layout(model);
      break;
    case 'd': {
      const char *json = slm_model_describe(model);
      answer(SLM_OK, json, strlen(json));
      continue;
    }
    case 't': // text to ids; the number is the flags
      if ((status = slm_tokenize(model, "", 0, 0, nullptr, 0, nullptr, 0)) < 0) break;
      tokenize(model, static_cast<uint32_t>(number), bytes.get(), n);
      continue;
    case 'u': // ids to text
      if ((status = slm_tokenize(model, "", 0, 0, nullptr, 0, nullptr, 0)) < 0) break;
      detokenize(model, static_cast<uint32_t>(number), bytes.get(), n);
      continue;
    default:
      return 1;
    }
    const char *sentence = status < 0 ? slm_error() : "";
    answer(status, sentence, strlen(sentence));
  }
  return 0;
}
