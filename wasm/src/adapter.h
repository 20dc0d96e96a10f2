// adapter.h: a LoRA adapter (Hu et al. 2021) beside the base model that it was
// trained on: slm_adapter behind the ABI. Owns the reading of a GGUF adapter by
// llama.cpp's conventions, and the low-rank matrices, whose products a backend
// adds where it multiplies a weight. The base's weights stay as they are, so
// adapters come, go and mix between two evaluations. Knows no family, no
// sampling, and not which adapters a session uses.
#pragma once

#include <memory>

#include "loaded_model.h"

namespace slm {

/// What an adapter adds to y = W x: scale * B (A x); to a token's embedding: scale * B a,
/// where a is the token's row of A.
struct LowRank {
  Matrix a;        // (r, columns of W); of the embedding (n_vocab, r)
  Matrix b;        // (rows of W, r); of the embedding (n_embd, r)
  float scale = 0; // alpha / r
};

class Adapter {
public:
  /// The base must be laid out before the header comes, and outlive that call
  /// and the feeding; an adapter that is ready needs it no more.
  explicit Adapter(const LoadedModel &base) : base_(base) {}

  /// Checks everything that the file says against the base, and allocates.
  Status header(std::span<const uint8_t> bytes, uint64_t file_size);
  /// JSON; see slm_adapter_describe.
  const char *describe();
  Status feed(uint32_t tensor, uint32_t offset, const uint8_t *bytes, uint32_t n);
  Status ready();

  bool is_ready() const { return ready_; }
  const LoadedModel &base() const { return base_; }
  const WeightStore &weights() const { return weights_; }
  /// Tells adapters apart for ever; an address may be used again.
  uint64_t serial() const { return serial_; }
  uint32_t max_rank() const { return max_rank_; }
  /// What it adds to the base's tensor `slot`, or null.
  const LowRank *find(uint32_t slot) const {
    const LowRank &l = changes_[slot];
    return l.a.rows == 0 ? nullptr : &l;
  }
  /// What it adds to the embeddings. A head that is tied to them has the tensor's slot.
  const LowRank *find_embedding() const { return find(uint32_t(changes_.size()) - 1); }

private:
  Status expect(std::string_view key, std::string_view expected) const;
  Status check_kind(float &alpha) const;
  Status claim(float alpha);
  Status claim(const GgufTensor &tensor);
  Status allocate_all();

  const LoadedModel &base_;
  Gguf file_;
  std::vector<TensorSlot> tensors_; // in the file's order
  std::vector<LowRank> changes_;    // by the base's slot of a product; the embedding's comes last
  WeightStore weights_;
  Block widened_; // rows of a quantized tensor as float32
  uint32_t max_rank_ = 0;
  const uint64_t serial_ = next_serial();
  bool ready_ = false;
  std::string json_;

  static uint64_t next_serial();
};

/// The adapters that a session uses.
struct Adaptation {
  struct Use {
    std::shared_ptr<const Adapter> adapter;
    float scale;
  };
  std::vector<Use> uses;

  /// Makes `uses` those of `wanted` whose scale is not 0, in an order of their
  /// own, so that the same mixture always rounds alike. On error nothing changes.
  Status set(const LoadedModel &base, std::vector<Use> wanted);

  /// Bytes that tell one mixture from another.
  std::string key() const;
};

} // namespace slm
