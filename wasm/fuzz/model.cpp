// model.cpp: a whole GGUF file through the C ABI as a host would take it: header,
// layout, every tensor in pieces, a session, some tokens, some sampled text.
// Weights are any bytes, so results are not looked at; what must hold is that a
// refusal has a sentence, that nothing is read that was not given, and that a
// model which is accepted can be evaluated. The same bytes are also taken as an
// adapter, an autoencoder and an encoder of pictures of a base that is what it
// should be.
#include <algorithm>
#include <cstring>

#include "check.h"
#include "slm.h"

namespace {

/// A refusal explains itself in a sentence that ends the line it is on.
bool accepted(int64_t status) {
  if (status >= 0) return true;
  check(std::strlen(slm_error()) > 20 && std::strchr(slm_error(), '\n') == nullptr);
  return false;
}

// A header may ask for a large model that the file does not hold; the weights
// of what this target generates fit easily.
constexpr double kMaxSessionBytes = 64 << 20;

/// Gives `take(tensor, offset, bytes, n)` every tensor of a description, in pieces.
template <class Take> void feed(const char *description, const uint8_t *file, const Take &take) {
  // The list of tensors is in file order of the header; sizes are in the JSON.
  const char *at = std::strstr(description, "\"tensors\":[");
  check(at != nullptr);
  const auto number_after = [&](const char *key) {
    at = std::strstr(at, key);
    check(at != nullptr);
    at += std::strlen(key);
    return std::strtoull(at, nullptr, 10);
  };
  for (uint32_t tensor = 0; (at = std::strstr(at, "\"offset\":")) != nullptr; ++tensor) {
    const uint64_t offset = number_after("\"offset\":");
    const uint64_t size = number_after("\"size\":");
    // What is not loaded has none.
    const char *end = std::strchr(at, '}'), *own = std::strstr(at, "\"granule\":");
    check(end != nullptr);
    if (own == nullptr || own > end) continue;
    const uint64_t granule = number_after("\"granule\":");
    check(granule > 0);
    for (uint64_t done = 0; done < size; done += granule) {
      const auto n = static_cast<uint32_t>(std::min(granule, size - done));
      // A copy of its own, so that reading past a piece is noticed.
      const std::vector<uint8_t> piece(file + offset + done, file + offset + done + n);
      check(take(tensor, static_cast<uint32_t>(done), piece.data(), n) == SLM_OK);
    }
  }
}

bool feed(slm_model *model, const uint8_t *file) {
  const std::string description = slm_model_describe(model);
  feed(description.c_str(), file, [&](uint32_t tensor, uint32_t at, const uint8_t *p, uint32_t n) {
    return slm_model_feed(model, tensor, at, p, n);
  });
  return accepted(slm_model_ready(model));
}

void generate(slm_model *model, slm_adapter *adapter = nullptr) {
  const double bytes = slm_session_bytes(model, 64, 8);
  if (!accepted(static_cast<int64_t>(bytes)) || bytes > kMaxSessionBytes) return;
  slm_session *session = slm_session_new(model, 64, 8);
  if (session == nullptr) {
    check(!accepted(SLM_ERR_OUT_OF_MEMORY));
    return;
  }
  const float scale = 0.5f;
  if (adapter != nullptr) check(slm_session_adapters(session, &adapter, &scale, 1) == SLM_OK);
  std::vector<int32_t> ids(8);
  const int32_t n = slm_tokenize(model, "the cat", 7, SLM_TEXT_SPECIAL | SLM_TEXT_BOS, nullptr, 0, ids.data(), 8);
  check(n >= 0);
  ids.resize(static_cast<size_t>(std::min(n, 8)));
  if (ids.empty()) ids.push_back(0);
  const auto count = static_cast<uint32_t>(ids.size());
  if (accepted(slm_session_eval(session, ids.data(), count, SLM_EVAL_EMBEDDING))) {
    float embedding[4];
    (void)accepted(slm_session_embedding(session, embedding, 4));
    check(!accepted(slm_session_sample(session)));
  }
  bool alive = accepted(slm_session_eval(session, ids.data(), count, SLM_EVAL_LAST_LOGITS));
  for (int i = 0; i < 4 && alive; ++i) {
    const int32_t token = slm_session_sample(session);
    alive = accepted(token) && accepted(slm_session_eval(session, &token, 1, SLM_EVAL_LAST_LOGITS));
  }
  char text[64];
  while (slm_session_text(session, 1, text, sizeof text) > 0) {
  }
  slm_session_free(session);
}

slm_model *load_base() {
  const std::vector<uint8_t> file = read_file("base");
  slm_model *model = slm_model_new();
  const auto n = static_cast<uint32_t>(file.size());
  check(slm_model_header(model, file.data(), n, n) == SLM_OK && slm_model_layout(model) == SLM_OK);
  check(feed(model, file.data()));
  return model;
}

void adapt(slm_model *base, const uint8_t *data, size_t size) {
  slm_adapter *adapter = slm_adapter_new(base);
  const auto n = static_cast<uint32_t>(size);
  if (accepted(slm_adapter_header(adapter, data, n, n))) {
    const std::string description = slm_adapter_describe(adapter);
    feed(description.c_str(), data, [&](uint32_t tensor, uint32_t at, const uint8_t *p, uint32_t m) {
      return slm_adapter_feed(adapter, tensor, at, p, m);
    });
    if (accepted(slm_adapter_ready(adapter))) generate(base, adapter);
  }
  check(slm_adapter_describe(adapter) != nullptr);
  slm_adapter_free(adapter);
}

void take_apart(slm_model *base, const uint8_t *data, size_t size) {
  slm_sae *sae = slm_sae_new(base);
  const auto n = static_cast<uint32_t>(size);
  if (accepted(slm_sae_header(sae, data, n, n))) {
    const std::string description = slm_sae_describe(sae);
    feed(description.c_str(), data, [&](uint32_t tensor, uint32_t at, const uint8_t *p, uint32_t m) {
      return slm_sae_feed(sae, tensor, at, p, m);
    });
    (void)accepted(slm_sae_ready(sae));
    (void)slm_sae_label(sae, 0);
  }
  check(slm_sae_describe(sae) != nullptr);
  slm_sae_free(sae);
}

void see(slm_model *base, const uint8_t *data, size_t size) {
  slm_vision *vision = slm_vision_new(base);
  const auto n = static_cast<uint32_t>(size);
  if (accepted(slm_vision_header(vision, data, n, n))) {
    const std::string description = slm_vision_describe(vision);
    feed(description.c_str(), data, [&](uint32_t tensor, uint32_t at, const uint8_t *p, uint32_t m) {
      return slm_vision_feed(vision, tensor, at, p, m);
    });
    (void)accepted(slm_vision_ready(vision));
  } else {
    check(slm_vision_describe(vision) == nullptr);
  }
  slm_vision_free(vision);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  slm_model *model = slm_model_new();
  if (accepted(slm_model_header(model, data, static_cast<uint32_t>(size), static_cast<double>(size))) &&
      accepted(slm_model_layout(model)) && feed(model, data))
    generate(model);
  check(slm_model_describe(model) != nullptr);
  slm_model_free(model);
  static slm_model *const base = load_base();
  adapt(base, data, size);
  take_apart(base, data, size);
  see(base, data, size);
  return 0;
}
