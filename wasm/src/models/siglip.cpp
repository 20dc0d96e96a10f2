// siglip.cpp: the encoder of pictures that Gemma 3, PaliGemma and SmolVLM share
// (Zhai et al. 2023): a vision transformer (Dosovitskiy et al. 2021) with norms
// before attention and feed-forward, biases everywhere and a learned table of
// positions, for squares of one size. Gemma 3 pools its rows by 4 x 4, normalizes
// and projects them; PaliGemma projects each; Idefics 3 and SmolVLM put those of a
// square behind one another ("pixel shuffle") and project that. Names are
// llama.cpp's, PaliGemma's of which it has none follow Gemma 3's.
#include <algorithm>

#include "encoder.h"

namespace slm {
namespace {

enum class Projection { Pooled, Linear, Shuffled };

struct Config {
  uint32_t image_size = 0, side = 0; // pixels, patches
  uint32_t n_merged = 0;             // columns of merged rows
  float norm_epsilon = 0;
};

struct Layer {
  LayerNorm norm;     // before attention
  Linear q, k, v;     // (n_embd, n_embd) each
  Linear output;      // (n_embd, n_embd)
  LayerNorm ffn_norm; // before
  Linear up;          // (n_ff, n_embd)
  Linear down;        // (n_embd, n_ff)
};

struct Weights {
  Linear patches;   // (n_embd, 3 * patch_size * patch_size)
  Linear positions; // (patches, n_embd)
  std::vector<Layer> layers;
  LayerNorm norm;               // behind them
  float *merged_norm = nullptr; // (n_embd), where rows are pooled
  Linear projection;            // (n_embd of the language model, n_merged)
};

struct SiglipState : State {
  Rows patches;           // 3 * patch_size * patch_size
  Rows x, normed;         // n_embd
  Rows q, k, v, attended; // n_embd
  Rows up;                // n_ff
  Rows merged;            // n_merged, and fewer of them than patches
};

class Siglip final : public PictureEncoder {
public:
  explicit Siglip(Projection projection) : projection_(projection) {}

  Status load(Loader &loader, const ModelShape &text) override {
    SLM_TRY(read_config(loader));
    const ModelShape &s = shape_;
    SLM_TRY(loader.patches("v.patch_embd", s.n_embd, patch_size_, w.patches));
    SLM_TRY(loader.linear(-1, "v.position_embd", c.side * c.side, s.n_embd, w.positions));
    // Files of before 2025 have the two matrices under each other's names.
    const bool swapped = s.n_ff != s.n_embd && loader.columns(0, "ffn_down") == s.n_embd;
    w.layers.resize(s.n_layer);
    for (uint32_t i = 0; i < s.n_layer; i++)
      SLM_TRY(load_layer(loader, static_cast<int>(i), swapped, w.layers[i]));
    w.norm.epsilon = c.norm_epsilon;
    SLM_TRY(loader.layernorm(-1, "v.post_ln", s.n_embd, w.norm));
    return load_projection(loader, text.n_embd);
  }

  uint32_t image_size() const override { return c.image_size; }
  uint32_t n_tokens() const override { return PictureEncoder::n_tokens({c.image_size, c.image_size}); }
  uint32_t max_tokens() const override { return n_tokens(); }

  Status check(Extent picture) const override {
    if (picture.width == c.image_size && picture.height == c.image_size) return SLM_OK;
    return fail(SLM_ERR_INVALID_ARGUMENT, "the picture has ", picture.width, " x ", picture.height,
                " pixels, but this encoder takes ", c.image_size, " x ", c.image_size, "; resize it");
  }

  uint32_t max_columns() const override {
    return std::max({shape_.n_embd, shape_.n_ff, c.n_merged, 3 * patch_size_ * patch_size_});
  }

  std::unique_ptr<State> new_state(Arena &arena) const override {
    auto s = std::make_unique<SiglipState>();
    s->patches = arena.rows(3 * patch_size_ * patch_size_);
    for (Rows *rows : {&s->x, &s->normed, &s->q, &s->k, &s->v, &s->attended})
      *rows = arena.rows(shape_.n_embd);
    s->up = arena.rows(shape_.n_ff);
    if (projection_ != Projection::Linear) s->merged = arena.rows(c.n_merged);
    return s;
  }

  void forward(Ops &op, State &state, const uint8_t *rgb, Extent picture, Rows out) const override {
    SiglipState &s = static_cast<SiglipState &>(state);
    const ModelShape &m = shape_;
    AttentionSpec attention{m.n_head, m.n_head_kv, m.head_dim, nullptr};
    attention.scale = inverse_sqrt(m.head_dim);
    attention.ahead = UINT32_MAX;
    Pixels pixels = pixels_;
    pixels.rgb = rgb, pixels.width = picture.width, pixels.height = picture.height;

    op.patches(pixels, patch_size_, s.patches);
    op.matmul({s.patches}, {{w.patches, s.x}});
    op.add_embedding(w.positions.weight, Index::Position, s.x);
    for (const Layer &l : w.layers) {
      op.layernorm(l.norm, s.x, s.normed);
      op.matmul({s.normed}, {{l.q, s.q}, {l.k, s.k}, {l.v, s.v}});
      op.attention(s.q, s.k, s.v, attention, s.cache[0], s.attended);
      op.matmul_add({s.attended}, l.output, s.x);
      op.layernorm(l.ffn_norm, s.x, s.normed);
      op.matmul({s.normed}, {{l.up, s.up}});
      op.gelu(s.up, GeluForm::Tanh);
      op.matmul_add({s.up}, l.down, s.x);
    }
    op.layernorm(w.norm, s.x, s.x);
    switch (projection_) {
    case Projection::Pooled:
      op.merge_rows(s.x, c.side, factor_, Merge::Mean, s.merged);
      return op.matmul({s.merged, w.merged_norm, c.norm_epsilon}, {{w.projection, out}});
    case Projection::Linear:
      return op.matmul({s.x}, {{w.projection, out}});
    case Projection::Shuffled:
      op.merge_rows(s.x, c.side, factor_, Merge::Concatenation, s.merged);
      return op.matmul({s.merged}, {{w.projection, out}});
    }
  }

private:
  Status read_config(Loader &loader) {
    SLM_TRY(read_shape(loader, projection_ == Projection::Pooled ? 4 : projection_ == Projection::Shuffled ? 2 : 1));
    SLM_TRY(loader.number("attention.layer_norm_epsilon", c.norm_epsilon, 1e-6f));
    SLM_TRY(loader.number("image_size", c.image_size));
    SLM_TRY(loader.between("image_size", c.image_size, patch_size_, kMaxSide));
    c.side = c.image_size / patch_size_; // pixels behind the last whole patch are cut off
    if (c.side * c.side > kMaxPatches || c.side % factor_ != 0)
      return fail(SLM_ERR_UNSUPPORTED, "pictures of ", c.side, " x ", c.side, " patches, merged by ", factor_,
                  ", are not supported; at most ", kMaxPatches, " in whole squares are");
    c.n_merged = projection_ == Projection::Shuffled ? shape_.n_embd * factor_ * factor_ : shape_.n_embd;
    SLM_TRY(loader.between("embedding_length", c.n_merged, 1, Loader::kMaxWidth));
    if (projection_ == Projection::Linear && factor_ != 1)
      return fail(SLM_ERR_UNSUPPORTED, "the projector 'paligemma' merges no rows, but the file says ", factor_);
    return SLM_OK;
  }

  Status load_layer(Loader &loader, int at, bool swapped, Layer &l) const {
    const uint32_t n = shape_.n_embd, n_ff = shape_.n_ff;
    l.norm.epsilon = l.ffn_norm.epsilon = c.norm_epsilon;
    SLM_TRY(loader.layernorm(at, "ln1", n, l.norm));
    SLM_TRY(loader.linear_with_bias(at, "attn_q", n, n, l.q));
    SLM_TRY(loader.linear_with_bias(at, "attn_k", n, n, l.k));
    SLM_TRY(loader.linear_with_bias(at, "attn_v", n, n, l.v));
    SLM_TRY(loader.linear_with_bias(at, "attn_out", n, n, l.output));
    SLM_TRY(loader.layernorm(at, "ln2", n, l.ffn_norm));
    SLM_TRY(loader.linear_with_bias(at, swapped ? "ffn_down" : "ffn_up", n_ff, n, l.up));
    return loader.linear_with_bias(at, swapped ? "ffn_up" : "ffn_down", n, n_ff, l.down);
  }

  Status load_projection(Loader &loader, uint32_t n_out) {
    switch (projection_) {
    case Projection::Pooled:
      SLM_TRY(loader.vector(-1, "mm.soft_emb_norm", shape_.n_embd, w.merged_norm));
      return loader.turned("mm.input_projection", n_out, c.n_merged, w.projection);
    case Projection::Linear:
      return loader.linear_with_bias(-1, "mm.input_projection", n_out, c.n_merged, w.projection);
    case Projection::Shuffled:
      return loader.linear_with_bias(-1, "mm.model.fc", n_out, c.n_merged, w.projection);
    }
  }

  static constexpr uint32_t kMaxSide = 8192;

  Projection projection_;
  Config c;
  Weights w;
};

} // namespace

std::unique_ptr<PictureEncoder> new_gemma3_vision() { return std::make_unique<Siglip>(Projection::Pooled); }
std::unique_ptr<PictureEncoder> new_paligemma_vision() { return std::make_unique<Siglip>(Projection::Linear); }
std::unique_ptr<PictureEncoder> new_idefics3_vision() { return std::make_unique<Siglip>(Projection::Shuffled); }

} // namespace slm
