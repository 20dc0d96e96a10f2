// vision.h: the encoder of pictures beside the language model that it was
// trained with: slm_vision behind the ABI. Owns the reading of its file
// (llama.cpp's "mmproj") and its weights; a backend runs it (cpu/encode.cpp,
// gpu/encode.cpp). Knows nothing of prompts: where a picture stands in one,
// pictures.h knows.
#pragma once

#include <memory>

#include "loaded_model.h"
#include "models/encoder.h"

namespace slm {

/// What the encoder has made of a picture: rows in place of embeddings. Sessions share it.
class Picture {
public:
  Picture(const LoadedModel &model, Sight sight) : model_(model), sight_(sight) {}
  virtual ~Picture() = default;

  const LoadedModel &model() const { return model_; }
  const Sight &sight() const { return sight_; }

  /// Copies the rows, (n, n_embd), without what a backend has between them.
  virtual void read(float *out) const = 0;

  Rows rows;      // (n, n_embd); on the GPU `data` names a buffer
  uint32_t n = 0; // positions

private:
  const LoadedModel &model_;
  Sight sight_;
};

class Vision {
public:
  /// The model must be laid out before the header comes, and outlive this.
  explicit Vision(const LoadedModel &model) : model_(model) {}

  /// Checks everything that the file says against the model, and allocates.
  Status header(std::span<const uint8_t> bytes, uint64_t file_size);
  /// JSON; see slm_vision_describe.
  const char *describe();
  Status feed(uint32_t tensor, uint32_t offset, const uint8_t *bytes, uint32_t n);
  Status ready();

  /// Bytes that encoding a picture takes.
  Status measure(Extent picture, uint64_t &bytes) const;
  /// `rgb` is (height, width, 3).
  Status encode(const uint8_t *rgb, Extent picture, std::unique_ptr<Picture> &out) const;

  const LoadedModel &model() const { return model_; }
  const PictureEncoder &encoder() const { return *encoder_; }
  const WeightStore &weights() const { return weights_; }
  /// As of a model.
  bool f16_cache() const { return f16_cache_; }
  /// Whether some matrix is quantized.
  bool rounds() const { return rounds_; }

private:
  Status open();
  Status expect_laid_out() const;

  /// The backend's; the encoder is ready, or only laid out.
  Status run(const uint8_t *rgb, Extent picture, std::unique_ptr<Picture> &out) const;
  Status plan(Extent picture, uint64_t &bytes) const;

  const LoadedModel &model_;
  std::vector<std::unique_ptr<Gguf>> files_; // one
  std::vector<TensorSlot> slots_;            // in the file's order
  const Projector *projector_ = nullptr;
  std::unique_ptr<PictureEncoder> encoder_;
  std::vector<Block> tables_; // of its rotations
  WeightStore weights_;
  bool laid_out_ = false, ready_ = false, f16_cache_ = false, rounds_ = false;
  std::string json_;
};

} // namespace slm
