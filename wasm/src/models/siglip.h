// siglip.h: the encoder of pictures that Gemma 3, PaliGemma and SmolVLM share
// (Zhai et al. 2023), and what makes its rows into those of a language model.
// Like a family, it owns its Config, Weights, State and forward(); knows neither
// files nor sessions, nor how a picture was made a square.
#pragma once

#include "model.h"

namespace slm {

/// How a language model looks at what its encoder makes of a picture.
struct Sight {
  bool both_ways = false;    // its positions see each other, within a layer's window
  bool whole_prompt = false; // and so does all of its prompt, past any window: one evaluation
};

/// What stands between the encoder and a language model.
struct Projector {
  enum class Kind { Pooled, Linear, Shuffled } kind;
  std::string_view name;             // in the file
  std::string_view architectures[2]; // of language models that were trained with it
  Sight sight;
  uint32_t factor; // as many rows and columns of patches become one, unless the file says otherwise
};

class Siglip {
public:
  /// Of a file whose metadata says `projector`, for a language model of this shape.
  Status load(Loader &loader, std::string_view projector, std::string_view architecture, const ModelShape &text);

  const Projector &projector() const { return *projector_; }
  uint32_t image_size() const { return c.image_size; }
  uint32_t patch_size() const { return c.patch_size; }
  uint32_t n_patches() const { return c.side * c.side; }
  uint32_t n_tokens() const { return c.side / c.factor * (c.side / c.factor); }
  /// Of its layers, as far as a backend needs to know them.
  const ModelShape &shape() const { return c.shape; }
  /// Columns of the widest rows that a product reads.
  uint32_t max_columns() const;

  std::unique_ptr<State> new_state(Arena &arena) const;
  /// Runs on every thread of the team, with as many tokens as there are patches; out is (n_tokens, n_embd of the
  /// language model). Only `pixels.rgb` is read of the pixels.
  void forward(Ops &op, State &state, const uint8_t *rgb, Rows out) const;

  struct Layer {
    LayerNorm norm;     // before attention
    Linear q, k, v;     // (n_embd, n_embd) each
    Linear output;      // (n_embd, n_embd)
    LayerNorm ffn_norm; // before
    Linear up;          // (n_ff, n_embd)
    Linear down;        // (n_embd, n_ff)
  };

private:
  struct Config {
    ModelShape shape;
    uint32_t image_size = 0, patch_size = 0, side = 0, factor = 1; // pixels, pixels, patches, patches
    uint32_t n_merged = 0;                                         // columns of merged rows
    float norm_epsilon = 0;
    Pixels pixels; // all but the bytes
  } c;

  struct Weights {
    Linear patches;   // (n_embd, 3 * patch_size * patch_size)
    Linear positions; // (n_patches, n_embd)
    std::vector<Layer> layers;
    LayerNorm norm;               // behind them
    float *merged_norm = nullptr; // (n_embd), where rows are pooled
    Linear projection;            // (n_embd of the language model, n_merged)
  } w;

  Status load_layer(Loader &loader, int at, bool swapped, Layer &l) const;
  Status load_projection(Loader &loader, uint32_t n_out);

  const Projector *projector_ = nullptr;
};

} // namespace slm
