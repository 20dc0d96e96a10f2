// gemma4_vision.cpp: the encoder of pictures of Gemma 4's E models: a vision
// transformer for pictures of any shape. A patch's column and row each have a
// learned row of their own, and each turns one half of every head; norms stand
// before and behind both halves of a layer; what products read and write is
// clipped to what training saw. Rows are pooled by 3 x 3, normalized and
// projected. Names are llama.cpp's.
#include <algorithm>

#include "encoder.h"

namespace slm {
namespace {

// What Gemma 4's processor makes of a picture unless it is asked for another choice, and the largest one.
constexpr uint32_t kTokens = 280, kMaxTokens = 1120;
constexpr uint32_t kMostMerged = 4; // patches a side that become one token: attention grows with the fourth power of it
constexpr uint32_t kMaxPlaces = 1u << 16;

struct Config {
  uint32_t n_places = 0; // columns, and rows, that a picture can have
  float norm_epsilon = 0;
};

/// A product between two bounds each (Gemma4ClippableLinear).
struct Clipped {
  Linear linear;
  Bounds input, output;
};

struct Layer {
  float *norm = nullptr, *post_norm = nullptr;         // (n_embd), of attention
  Clipped q, k, v;                                     // (n_embd, n_embd)
  float *q_norm = nullptr, *k_norm = nullptr;          // (head_dim)
  Clipped output;                                      // (n_embd, n_embd)
  float *ffn_norm = nullptr, *ffn_post_norm = nullptr; // (n_embd)
  Clipped gate, up;                                    // (n_ff, n_embd)
  Clipped down;                                        // (n_embd, n_ff)
};

struct Weights {
  Linear patches; // (n_embd, 3 * patch_size * patch_size)
  Linear places;  // (2 * n_places, n_embd): those of columns, then those of rows
  std::vector<Layer> layers;
  Rope rope;
  Linear projection; // (n_embd of the language model, n_embd)
};

struct Gemma4VisionState : State {
  Rows patches;           // 3 * patch_size * patch_size
  Rows x, normed, read;   // n_embd; `read` is what a product reads
  Rows q, k, v, attended; // n_embd
  Rows gated, up;         // n_ff
  Rows merged;            // n_embd, and fewer of them than patches
};

class Gemma4Vision final : public PictureEncoder {
public:
  Status load(Loader &loader, const ModelShape &text) override {
    SLM_TRY(read_shape(loader, 3));
    SLM_TRY(loader.between("projector.scale_factor", factor_, 1, kMostMerged));
    ModelShape &s = shape_;
    SLM_TRY(loader.number("attention.layer_norm_epsilon", c.norm_epsilon, 1e-6f));
    SLM_TRY(loader.axial_rope(w.rope, s.head_dim, 100.f));
    s.rope_dims = s.head_dim;
    // The model reads 2 p - 1 of what its processor makes of a picture.
    for (uint32_t i = 0; i < 3; i++) {
      pixels_.deviation[i] /= 2;
      pixels_.mean[i] += pixels_.deviation[i];
    }
    loader.leave_out_all("a."), loader.leave_out_all("mm.a."); // what hears lies in the same file
    SLM_TRY(loader.patches("v.patch_embd", s.n_embd, patch_size_, w.patches));
    SLM_TRY(loader.pair_of_tables("v.position_embd", kMaxPlaces, s.n_embd, c.n_places, w.places));
    w.layers.resize(s.n_layer);
    for (uint32_t i = 0; i < s.n_layer; i++)
      SLM_TRY(load_layer(loader, static_cast<int>(i), w.layers[i]));
    return loader.linear(-1, "mm.input_projection", text.n_embd, s.n_embd, w.projection);
  }

  using PictureEncoder::n_tokens;
  uint32_t image_size() const override { return 0; }
  uint32_t n_tokens() const override { return kTokens; }
  uint32_t max_tokens() const override { return kMaxTokens; }

  Status check(Extent picture) const override {
    const uint32_t step = patch_size_ * factor_, most = c.n_places * patch_size_;
    const auto fits = [&](uint32_t side) { return side != 0 && side % step == 0 && side <= most; };
    if (fits(picture.width) && fits(picture.height) &&
        uint64_t(picture.width / step) * (picture.height / step) <= kMaxTokens)
      return SLM_OK;
    return fail(SLM_ERR_INVALID_ARGUMENT, "the picture has ", picture.width, " x ", picture.height,
                " pixels, but this encoder takes sides of multiples of ", step, " up to ", most, ", which make ",
                kMaxTokens, " squares of them at most; resize it");
  }

  uint32_t max_columns() const override {
    return std::max({shape_.n_embd, shape_.n_ff, 3 * patch_size_ * patch_size_});
  }

  std::unique_ptr<State> new_state(Arena &arena) const override {
    auto s = std::make_unique<Gemma4VisionState>();
    s->patches = arena.rows(3 * patch_size_ * patch_size_);
    for (Rows *rows : {&s->x, &s->normed, &s->read, &s->q, &s->k, &s->v, &s->attended, &s->merged})
      *rows = arena.rows(shape_.n_embd);
    s->gated = arena.rows(shape_.n_ff);
    s->up = arena.rows(shape_.n_ff);
    return s;
  }

  void forward(Ops &op, State &state, const uint8_t *rgb, Extent picture, Rows out) const override {
    Gemma4VisionState &s = static_cast<Gemma4VisionState &>(state);
    const ModelShape &m = shape_;
    const uint32_t across = n_across(picture);
    Pixels pixels = pixels_;
    pixels.rgb = rgb, pixels.width = picture.width, pixels.height = picture.height;
    AttentionSpec attention{m.n_head, m.n_head_kv, m.head_dim, &w.rope};
    attention.v_norm = true;
    attention.norm_epsilon = c.norm_epsilon;
    attention.ahead = UINT32_MAX;

    op.rotations({&w.rope}, across);
    op.patches(pixels, patch_size_, s.patches);
    op.matmul({s.patches}, {{w.patches, s.x}});
    op.add_embedding(w.places.weight, Index::Column, s.x, across);
    op.add_embedding(w.places.weight, Index::Row, s.x, across);
    for (const Layer &l : w.layers) {
      op.rmsnorm({s.x, l.norm, c.norm_epsilon}, s.normed);
      product(op, s.normed, l.q, s.read, s.q);
      product(op, s.normed, l.k, s.read, s.k);
      product(op, s.normed, l.v, s.read, s.v);
      attention.q_norm = l.q_norm, attention.k_norm = l.k_norm;
      op.attention(s.q, s.k, s.v, attention, s.cache[0], s.attended);
      product(op, s.attended, l.output, s.attended, s.normed);
      op.add_rmsnorm(s.normed, l.post_norm, c.norm_epsilon, s.x);
      op.rmsnorm({s.x, l.ffn_norm, c.norm_epsilon}, s.normed);
      product(op, s.normed, l.gate, s.read, s.gated);
      product(op, s.normed, l.up, s.read, s.up);
      op.glu(s.up, Glu::Gelu, s.gated);
      product(op, s.gated, l.down, s.gated, s.normed);
      op.add_rmsnorm(s.normed, l.ffn_post_norm, c.norm_epsilon, s.x);
    }
    op.merge_rows(s.x, across, factor_, Merge::Mean, s.merged);
    // They are times sqrt(n_embd) here, which a norm takes into its epsilon.
    op.rmsnorm({s.merged, nullptr, c.norm_epsilon / float(m.n_embd)}, s.normed);
    op.matmul({s.normed}, {{w.projection, out}});
  }

private:
  /// out = W x between its bounds; x as it is read stands in `read`, which may be x.
  static void product(Ops &op, Rows x, const Clipped &w, Rows read, Rows out) {
    if (w.input.low != nullptr) {
      if (read.data != x.data) op.copy(x, read);
      op.clip(read, *w.input.low, *w.input.high);
      x = read;
    }
    op.matmul({x}, {{w.linear, out}});
    if (w.output.low != nullptr) op.clip(out, *w.output.low, *w.output.high);
  }

  Status load_layer(Loader &loader, int at, Layer &l) const {
    const uint32_t n = shape_.n_embd, n_ff = shape_.n_ff;
    const auto clipped = [&](std::string_view name, uint32_t rows, uint32_t columns, Clipped &out) {
      SLM_TRY(loader.linear(at, name, rows, columns, out.linear));
      SLM_TRY(loader.bounds(at, name, "input", out.input));
      return loader.bounds(at, name, "output", out.output);
    };
    SLM_TRY(loader.vector(at, "ln1", n, l.norm));
    SLM_TRY(clipped("attn_q", n, n, l.q));
    SLM_TRY(clipped("attn_k", n, n, l.k));
    SLM_TRY(clipped("attn_v", n, n, l.v));
    SLM_TRY(loader.vector(at, "attn_q_norm", shape_.head_dim, l.q_norm));
    SLM_TRY(loader.vector(at, "attn_k_norm", shape_.head_dim, l.k_norm));
    SLM_TRY(clipped("attn_out", n, n, l.output));
    SLM_TRY(loader.vector(at, "attn_post_norm", n, l.post_norm));
    SLM_TRY(loader.vector(at, "ln2", n, l.ffn_norm));
    SLM_TRY(clipped("ffn_gate", n_ff, n, l.gate));
    SLM_TRY(clipped("ffn_up", n_ff, n, l.up));
    SLM_TRY(clipped("ffn_down", n, n_ff, l.down));
    return loader.vector(at, "ffn_post_norm", n, l.ffn_post_norm);
  }

  Config c;
  Weights w;
};

} // namespace

std::unique_ptr<PictureEncoder> new_gemma4_vision() { return std::make_unique<Gemma4Vision>(); }

} // namespace slm
