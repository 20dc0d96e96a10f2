// encoder.h: what every encoder of pictures provides, and which there are. An
// encoder is one file in this folder, like a family: Config from metadata,
// Weights by name and shape, State, and forward() down to the rows of a language
// model; kProjectors in encoder.cpp lists it. Knows neither files nor sessions,
// nor how a picture got its sides.
#pragma once

#include "model.h"

namespace slm {

/// How a language model looks at what its encoder makes of a picture.
struct Sight {
  bool both_ways = false;    // its positions see each other, within a layer's window
  bool whole_prompt = false; // and so does all of its prompt, past any window: one evaluation

  /// Whether one evaluation has a picture whole; else it is read on like text.
  bool whole_picture() const { return both_ways || whole_prompt; }
};

/// Sides of a picture in pixels.
struct Extent {
  uint32_t width, height;
};

class PictureEncoder {
public:
  virtual ~PictureEncoder() = default;
  /// For a language model of this shape.
  virtual Status load(Loader &loader, const ModelShape &text) = 0;

  /// Of its layers, as far as a backend needs to know them.
  const ModelShape &shape() const { return shape_; }
  uint32_t patch_size() const { return patch_size_; } // pixels
  uint32_t factor() const { return factor_; }         // as many rows and columns of patches become one row
  /// Side in pixels of the square that a picture has to be; 0 where it keeps its shape.
  virtual uint32_t image_size() const = 0;
  /// Positions that a picture takes, or at most where nobody asks for more; and the most that it can take.
  virtual uint32_t n_tokens() const = 0;
  virtual uint32_t max_tokens() const = 0;
  /// Whether it takes a picture of these sides.
  virtual Status check(Extent picture) const = 0;
  /// Of a picture that it takes.
  uint32_t n_across(Extent picture) const { return picture.width / patch_size_; } // patches
  uint32_t n_patches(Extent picture) const { return n_across(picture) * (picture.height / patch_size_); }
  uint32_t n_tokens(Extent picture) const { return n_patches(picture) / (factor_ * factor_); }
  /// Columns of the widest rows that a product reads.
  virtual uint32_t max_columns() const = 0;

  virtual std::unique_ptr<State> new_state(Arena &arena) const = 0;
  /// Runs on every thread of the team, with as many tokens as there are patches; out is (n_tokens, n_embd of the
  /// language model). `rgb` is (height, width, 3); on the GPU it names a buffer.
  virtual void forward(Ops &op, State &state, const uint8_t *rgb, Extent picture, Rows out) const = 0;

protected:
  /// The keys that all encoders share, checked against named limits.
  Status read_shape(Loader &loader, uint32_t factor);

  // So many are those of 896 x 896 pixels by 14; activations grow with them, attention with their square.
  static constexpr uint32_t kMaxPatches = 4096, kMaxPatch = 128, kMaxFactor = 16;

  ModelShape shape_;
  uint32_t patch_size_ = 0, factor_ = 1;
  Pixels pixels_; // mean and deviation
};

/// What stands between an encoder and a language model, by its name in the file.
struct Projector {
  std::string_view name;
  std::string_view architectures[2]; // of language models that were trained with it
  Sight sight;
  std::unique_ptr<PictureEncoder> (*create)();
};

/// SLM_ERR_UNSUPPORTED lists those there are.
Status find_projector(std::string_view name, std::string_view architecture, const Projector *&out);

std::unique_ptr<PictureEncoder> new_gemma3_vision();
std::unique_ptr<PictureEncoder> new_gemma4_vision();
std::unique_ptr<PictureEncoder> new_paligemma_vision();
std::unique_ptr<PictureEncoder> new_idefics3_vision();

} // namespace slm
