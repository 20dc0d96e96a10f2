// check.h: what the fuzz targets share: an assertion that ends the process, so
// that libFuzzer keeps the input, and the vocabularies of build/raw_gguf.py.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "gguf.h"
#include "tokenizer/tokenizer.h"

inline void check(bool holds, const char *file = __builtin_FILE(), int line = __builtin_LINE()) {
  if (holds) return;
  fprintf(stderr, "%s:%d: this should hold, but does not\n", file, line);
  abort();
}

/// A tokenizer and the header that its vocabulary points into.
struct LoadedTokenizer {
  slm::Gguf gguf;
  std::unique_ptr<slm::Tokenizer> tokenizer;
};

/// NAME.gguf from the folder that the environment names; build/native.py writes
/// it there.
inline std::vector<uint8_t> read_file(const std::string &name) {
  const char *folder = getenv("SLM_FUZZ_VOCABULARIES");
  FILE *file = folder ? fopen((std::string(folder) + "/" + name + ".gguf").c_str(), "rb") : nullptr;
  if (!file) {
    fprintf(stderr, "there is no %s.gguf in $SLM_FUZZ_VOCABULARIES; run build/native.py fuzz\n", name.c_str());
    exit(1);
  }
  std::vector<uint8_t> bytes(1 << 20);
  bytes.resize(fread(bytes.data(), 1, bytes.size(), file));
  fclose(file);
  return bytes;
}

inline std::unique_ptr<LoadedTokenizer> load_tokenizer(const std::string &name) {
  const std::vector<uint8_t> bytes = read_file(name);
  auto loaded = std::make_unique<LoadedTokenizer>();
  if (loaded->gguf.parse(bytes, bytes.size()) != SLM_OK ||
      slm::Tokenizer::create(loaded->gguf, loaded->tokenizer) != SLM_OK) {
    fprintf(stderr, "%s.gguf: %s\n", name.c_str(), slm::error_text());
    exit(1);
  }
  return loaded;
}

/// Encodes `text` and decodes the ids again; checks that they are tokens.
inline std::string there_and_back(const slm::Tokenizer &tokenizer, std::string_view text, bool special) {
  std::vector<int32_t> ids;
  tokenizer.encode(text, special, false, ids);
  for (const int32_t id : ids)
    check(id >= 0 && static_cast<uint32_t>(id) < tokenizer.n_vocab());
  std::string bytes;
  tokenizer.decode(ids.data(), ids.size(), true, bytes);
  return bytes;
}
