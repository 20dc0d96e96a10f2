// loaded_model.h: a model from its first header to its last weight: slm_model
// behind the ABI. Owns the GGUF headers, the tokenizer, the packed weights and
// the family. Knows nothing of sessions.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gguf.h"
#include "memory.h"
#include "models/model.h"
#include "tokenizer/tokenizer.h"

namespace slm {

class LoadedModel {
public:
  /// Takes the header of the next file; `missing` files are still to come.
  Status header(std::span<const uint8_t> bytes, uint64_t file_size, uint32_t &missing);
  /// See slm_model_layers.
  Status layers(LayerRange range);
  Status layout();
  Status feed(uint32_t tensor, uint32_t offset, const uint8_t *bytes, uint32_t n);
  Status ready();

  /// See slm_imatrix_start and slm_imatrix_read; imatrix.cpp.
  Status start_imatrix();
  Status read_imatrix(uint32_t tensor, float *sums, uint32_t capacity, uint32_t &tokens) const;

  /// JSON; see slm_model_describe.
  const char *describe();

  /// Null before the last header.
  const Tokenizer *tokenizer() const { return tokenizer_.get(); }
  const Family &family() const { return *family_; }
  bool is_laid_out() const { return laid_out_; }
  bool is_ready() const { return ready_; }
  /// The cache of a float32 model is float32 too, so that f16 does not blur it.
  bool f16_cache() const { return f16_cache_; }

  /// For adapters, which name the tensors that they change.
  std::string_view architecture() const { return architecture_; }
  std::span<const TensorSlot> slots() const { return slots_; }
  const WeightStore &weights() const { return weights_; }

private:
  Status open_set();

  std::vector<std::unique_ptr<Gguf>> files_;
  uint32_t n_files_ = 1; // as the first header says
  std::unique_ptr<Tokenizer> tokenizer_;
  std::string_view architecture_;
  std::vector<TensorSlot> slots_; // of all files, in order
  std::unique_ptr<Family> family_;
  LayerRange loaded_; // the layers that it has or is to have
  WeightStore weights_;
  std::vector<Block> tables_; // of the rotations
  Block squares_;             // of the matrices' inputs, while an importance matrix is collected
  bool laid_out_ = false, ready_ = false, f16_cache_ = true;
  std::string json_;
};

class Json;
/// "parameters", "packed_bytes" and "types"
void describe_sizes(Json &json, std::span<const TensorSlot> slots, bool laid_out);
/// One entry of "tensors"; the granule is known once the tensor has its place.
void describe_tensor(Json &json, const TensorSlot &slot, bool laid_out);

} // namespace slm
