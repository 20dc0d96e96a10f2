// sae.h: a sparse autoencoder (Bricken et al. 2023) beside the model that it was trained
// on: slm_sae behind the ABI. Owns the reading of its file (docs/inspect.md), the encoder,
// whose product a backend computes, and JumpReLU (Rajamanoharan et al. 2024). The decoder
// stays in the file: of it a host wants a row now and then. Knows no sessions, and not where
// the rows come from that are encoded.
#pragma once

#include <string>
#include <vector>

#include "loaded_model.h"

namespace slm {

class Sae {
public:
  /// The model must be laid out before the header comes, and outlive the SAE.
  explicit Sae(const LoadedModel &model) : model_(model) {}

  /// Checks everything that the file says against the model, and allocates.
  Status header(std::span<const uint8_t> bytes, uint64_t file_size);
  /// JSON; see slm_sae_describe.
  const char *describe();
  Status feed(uint32_t tensor, uint32_t offset, const uint8_t *bytes, uint32_t n);
  Status ready();
  /// Null where it has none.
  const char *label(uint32_t feature);
  /// Widens a feature's row of the decoder, as it stands in the file.
  Status direction(std::span<const uint8_t> row, std::span<float> out) const;

  bool is_ready() const { return ready_; }
  const LoadedModel &model() const { return model_; }
  const WeightStore &weights() const { return weights_; }
  uint32_t n_features() const { return encoder_.weight.rows; }
  uint32_t width() const { return encoder_.weight.columns; }
  const Linear &encoder() const { return encoder_; }
  /// What JumpReLU makes of a number that the encoder has put out for `feature`.
  float activation(uint32_t feature, float pre) const { return pre > threshold_[feature] && pre > 0 ? pre : 0; }

private:
  Status check_kind();
  Status claim();
  /// A tensor of the file, of this shape.
  Status find(std::string_view name, uint64_t columns, uint64_t rows, TensorSlot *&out);
  Status allocate_all();
  /// What a header has left.
  void forget();

  const LoadedModel &model_;
  Gguf file_;
  Looking::Place place_{};
  std::vector<TensorSlot> tensors_; // in the file's order
  Linear encoder_;                  // (n_features, width)
  float *threshold_ = nullptr;      // (n_features)
  const GgufTensor *decoder_ = nullptr;
  std::vector<std::string_view> labels_; // one for each feature, or none at all
  WeightStore weights_;
  bool ready_ = false;
  std::string json_, label_;
};

} // namespace slm
