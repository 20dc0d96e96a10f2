// compute.cpp: what both backends' sessions have in common; see compute.h.
#include "compute.h"

#include <algorithm>

namespace slm {
namespace {

// A prompt of PaliGemma's is one evaluation: 4096 positions of a picture of 896 x 896 pixels, and text, in the 8192
// that Gemma and Gemma 2 were trained for.
constexpr uint32_t kMaxContext = 1u << 20, kMaxBatch = 8192;

uint32_t round_up(uint32_t n, uint32_t to) { return (n + to - 1) / to * to; }

/// A ring has room for a window and a whole batch, and for as much again that a
/// following turn may take back.
uint32_t capacity(const Family &family, uint32_t layer, uint32_t n_ctx, uint32_t n_batch) {
  const uint32_t all = round_up(n_ctx, kKvBlock), window = family.window(layer);
  if (window == 0 || window >= n_ctx) return all;
  const uint32_t ring = round_up(window + 2 * n_batch, kKvBlock) + kKvBlock;
  return ring < all ? ring : all;
}

} // namespace

uint32_t trained_context(const ModelShape &shape) {
  return shape.embeds() ? std::min(shape.n_ctx_train, kMaxBatch) : shape.n_ctx_train;
}

Status check_shape(const LoadedModel &model, uint32_t n_ctx, uint32_t &n_batch) {
  if (!model.is_laid_out()) return fail(SLM_ERR_WRONG_STATE, "the model is not laid out yet");
  if (n_ctx < 1 || n_ctx > kMaxContext)
    return fail(SLM_ERR_INVALID_ARGUMENT, "n_ctx is ", n_ctx, ", but should lie between 1 and ", kMaxContext);
  const ModelShape &shape = model.family().shape();
  if (shape.embeds()) {
    // Behind its training's length a model may have no positions at all.
    const uint32_t most = trained_context(shape);
    if (n_ctx > most)
      return fail(SLM_ERR_INVALID_ARGUMENT, "n_ctx is ", n_ctx, ", but this model embeds texts of at most ", most,
                  " tokens");
    n_batch = n_ctx;
  }
  if (shape.reads()) n_batch = std::min(n_ctx, kMaxBatch);
  if (n_batch < 1 || n_batch > kMaxBatch)
    return fail(SLM_ERR_INVALID_ARGUMENT, "n_batch is ", n_batch, ", but should lie between 1 and ", kMaxBatch);
  return SLM_OK;
}

std::vector<KvLayer> cache_shapes(const LoadedModel &model, uint32_t n_ctx, uint32_t n_batch, bool exact) {
  const ModelShape &m = model.family().shape();
  std::vector<KvLayer> layers(m.n_layer);
  for (uint32_t i = 0; i < m.n_layer; i++) {
    const KvShape kv = model.family().kv(i);
    layers[i].n_head_kv = kv.n_head;
    layers[i].head_dim = kv.head_dim;
    if (kv.n_head == 0 || model.family().recurrent(i).floats() != 0) continue;
    layers[i].capacity = capacity(model.family(), i, positions(model, n_ctx), n_batch);
    layers[i].f16 = model.f16_cache() && !exact;
  }
  return layers;
}

uint32_t positions(const LoadedModel &model, uint32_t n_ctx) {
  return n_ctx + uint32_t(model.family().shape().reads());
}

uint32_t most_seen(const LoadedModel &model, std::span<const KvLayer> cache, uint32_t n_ctx) {
  uint32_t most = 0;
  for (uint32_t i = 0; i < cache.size(); i++) {
    const uint32_t window = model.family().window(i);
    if (cache[i].capacity != 0) most = std::max(most, window == 0 ? n_ctx : std::min(window, n_ctx));
  }
  return most;
}

uint32_t tap_width(const LoadedModel &model, Looking::Place place) {
  const ModelShape &m = model.family().shape();
  return place.site == Site::Heads ? model.family().heads_width(place.layer) : m.n_embd;
}

std::vector<RecurrentLayer> recurrent_shapes(const LoadedModel &model) {
  std::vector<RecurrentLayer> layers(model.family().shape().n_layer);
  uint32_t at = 0;
  for (uint32_t i = 0; i < layers.size(); i++) {
    layers[i] = model.family().recurrent(i);
    layers[i].at = at;
    at += static_cast<uint32_t>(layers[i].floats());
  }
  return layers;
}

uint64_t recurrent_floats(std::span<const RecurrentLayer> layers) {
  uint64_t sum = 0;
  for (const RecurrentLayer &layer : layers)
    sum += layer.floats();
  return sum;
}

} // namespace slm
