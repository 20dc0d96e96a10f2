// gguf.cpp: any bytes as a GGUF header, and as far as they are one, its tensors,
// its metadata and its tokenizer. What it holds the reader to, beyond what the
// sanitizers see: it asks for more bytes only when the file has more, and the
// tensors that it describes lie inside of the file.
#include <string>

#include "check.h"
#include "gguf.h"
#include "tokenizer/tokenizer.h"

using namespace slm;

namespace {

void read_everything(const Gguf &gguf, uint64_t file_size) {
  uint64_t total = 0;
  for (const GgufTensor &tensor : gguf.tensors()) {
    check(!tensor.name.empty() && tensor.n_dims >= 1 && tensor.n_dims <= 4);
    check(tensor.offset >= gguf.data_offset() && tensor.offset <= file_size);
    check(tensor.size > 0 && tensor.size <= file_size - tensor.offset);
    total += tensor.size;
  }
  check(total <= file_size);

  for (const char *key : {"general.name", "general.alignment", "test.value_6", "test.array_8", "test.array_6"}) {
    bool found;
    std::string_view text;
    uint32_t u32;
    int32_t i32;
    float f32;
    bool boolean;
    std::vector<std::string_view> texts;
    std::vector<float> floats;
    std::vector<int32_t> integers;
    int right_types = 0;
    right_types += gguf.get(key, text, found) == SLM_OK;
    right_types += gguf.get(key, u32, found) == SLM_OK;
    right_types += gguf.get(key, i32, found) == SLM_OK;
    right_types += gguf.get(key, f32, found) == SLM_OK;
    right_types += gguf.get(key, boolean, found) == SLM_OK;
    right_types += gguf.get(key, texts, found) == SLM_OK;
    right_types += gguf.get(key, floats, found) == SLM_OK;
    right_types += gguf.get(key, integers, found) == SLM_OK;
    check(found == gguf.has(key));
    check(found ? right_types <= 3 : right_types == 8);
  }

  std::unique_ptr<Tokenizer> tokenizer;
  if (Tokenizer::create(gguf, tokenizer) != SLM_OK) return;
  for (const bool special : {false, true}) {
    std::vector<int32_t> ids;
    tokenizer->encode("<s>The cat's 1234\n\n  \xE6\x97\xA5\xE6\x9C\xAC <|im_start|>\xFF", special, true, ids);
    for (const int32_t id : ids)
      check(id >= 0 && static_cast<uint32_t>(id) < tokenizer->n_vocab());
    std::string bytes;
    tokenizer->decode(ids.data(), ids.size(), special, bytes);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const std::span<const uint8_t> bytes(data, size);
  Gguf gguf;
  const Status whole = gguf.parse(bytes, size);
  check(whole != SLM_ERR_NEED_MORE);
  if (whole == SLM_OK) read_everything(gguf, size);

  // The same bytes as the start of a longer file.
  constexpr uint64_t kLonger = uint64_t{1} << 33;
  Gguf start;
  const Status more = start.parse(bytes, kLonger);
  if (more == SLM_OK) read_everything(start, kLonger);
  if (whole == SLM_OK) {
    check(more == SLM_OK);
    Gguf prefix;
    const Status shorter = prefix.parse(bytes.first(size / 2), size);
    check(shorter == SLM_OK || shorter == SLM_ERR_NEED_MORE);
  }
  return 0;
}
