// recurrentgemma.cpp: RecurrentGemma (Botev et al. 2024), which is Griffin (De et
// al. 2024): two recurrent blocks to one of local attention, each followed by
// GeGLU; scaled embeddings tied to the head. Which layers recur, their tensors
// say. RMSNorm's +1 is in the weights; the file's names are those of
// docs/gguf-recurrentgemma.md.
#include <cstring>

#include "block.h"

namespace slm {
namespace {

struct Config {
  ModelShape shape;
  float norm_epsilon;
  uint32_t sliding_window;
  uint32_t block; // columns of the gates' blocks
  uint32_t n_taps;
  float final_softcap;
};

/// A convolution and an RG-LRU between two products, beside a gate.
struct RecurrentWeights {
  Linear gate, in;               // (n_recurrent, n_embd)
  Convolution convolution;       // n_recurrent channels
  Linear input_gate, recurrence; // (n_recurrent, block), block-diagonal
  float *decay;                  // (n_recurrent)
  Linear out;                    // (n_embd, n_recurrent)
};

struct Layer {
  bool recurs;
  AttentionWeights attn; // of a recurrent layer, its norm alone
  RecurrentWeights rec;
  FeedForwardWeights ffn;
};

struct Weights {
  Ends ends;
  std::vector<Layer> layers;
  Rope rope;
};

struct RecurrentState : BlockState {
  Rows gate, in, convolved, recurrence; // n_recurrent

  RecurrentState(Arena &arena, const ModelShape &shape) : BlockState(arena, shape) {
    for (Rows *rows : {&gate, &in, &convolved, &recurrence})
      *rows = arena.rows(shape.n_recurrent);
  }
};

/// The root of n_embd as the model was trained with it: rounded to bfloat16.
float embedding_scale(uint32_t n_embd) {
  const float root = std::sqrt(float(n_embd));
  uint32_t bits;
  static_assert(sizeof bits == sizeof root);
  std::memcpy(&bits, &root, sizeof bits);
  bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
  float rounded;
  std::memcpy(&rounded, &bits, sizeof bits);
  return rounded;
}

class RecurrentGemma : public Family {
public:
  Status load(Loader &loader) override {
    ModelShape &s = c.shape;
    SLM_TRY(loader.shape(s));
    SLM_TRY(loader.number("attention.layer_norm_rms_epsilon", c.norm_epsilon, 1e-6f));
    SLM_TRY(loader.number("attention.sliding_window", c.sliding_window));
    SLM_TRY(loader.between("attention.sliding_window", c.sliding_window, 1, 1u << 30));
    SLM_TRY(loader.number("final_logit_softcapping", c.final_softcap, 30.f));
    SLM_TRY(loader.number("recurrent.width", s.n_recurrent));
    SLM_TRY(loader.number("recurrent.block_width", c.block));
    SLM_TRY(loader.number("recurrent.conv_kernel", c.n_taps));
    SLM_TRY(loader.between("recurrent.width", s.n_recurrent, 32, Loader::kMaxWidth));
    SLM_TRY(loader.between("recurrent.block_width", c.block, 32, kMaxBlock));
    SLM_TRY(loader.between("recurrent.conv_kernel", c.n_taps, 2, Convolution::kMaxTaps));
    // Kernels take blocks of 32 columns.
    if (c.block % 32 != 0 || s.n_recurrent % c.block != 0)
      return fail(SLM_ERR_UNSUPPORTED, "recurrent layers of ", s.n_recurrent, " channels in blocks of ", c.block,
                  " are not supported; blocks should be multiples of 32 and divide them");
    SLM_TRY(loader.rope(w.rope, true, s.rope_dims, 10000));
    w.layers.resize(s.n_layer);
    for (uint32_t i = 0; i < s.n_layer; i++) {
      Layer &l = w.layers[i];
      const int at = static_cast<int>(i);
      l.recurs = loader.has(at, "rec_in");
      if (l.recurs) {
        SLM_TRY(loader.vector(at, "attn_norm", s.n_embd, l.attn.norm));
        SLM_TRY(load(loader, at, l.rec));
      } else {
        SLM_TRY(l.attn.load(loader, i, s, false));
      }
      SLM_TRY(l.ffn.load(loader, i, s));
    }
    return w.ends.load(loader, s);
  }

  const ModelShape &shape() const override { return c.shape; }
  uint32_t window(uint32_t layer) const override { return w.layers[layer].recurs ? 0 : c.sliding_window; }
  RecurrentLayer recurrent(uint32_t layer) const override {
    if (!w.layers[layer].recurs) return {};
    return {.n_inputs = (c.n_taps - 1) * c.shape.n_recurrent, .n_state = c.shape.n_recurrent};
  }

  std::unique_ptr<State> new_state(Arena &arena) const override {
    return std::make_unique<RecurrentState>(arena, c.shape);
  }

  void forward(Ops &op, State &state, const Output &output) const override {
    RecurrentState &s = static_cast<RecurrentState &>(state);
    const ModelShape &m = c.shape;
    AttentionSpec attention{m.n_head, m.n_head_kv, m.head_dim, &w.rope};
    attention.scale = inverse_sqrt(m.head_dim);
    attention.window = c.sliding_window;

    op.rotations({&w.rope});
    op.embed(w.ends.token_embd.weight, embedding_scale(m.n_embd), s.x);
    for (uint32_t i = layers.first; i < layers.end; i++) {
      const Layer &l = w.layers[i];
      const Input x{s.x, l.attn.norm, c.norm_epsilon};
      if (l.recurs) {
        op.matmul(x, {{l.rec.gate, s.gate}, {l.rec.in, s.in}});
        op.convolve(s.in, l.rec.convolution, s.recurrent[i], s.convolved);
        op.block_matmul(s.convolved, {{l.rec.input_gate, s.in}, {l.rec.recurrence, s.recurrence}});
        op.rg_lru({s.in, s.recurrence, s.gate, l.rec.decay}, s.recurrent[i], s.convolved);
        op.matmul_add({s.convolved}, l.rec.out, s.x);
      } else {
        op.matmul(x, {{l.attn.q, s.q}, {l.attn.k, s.k}, {l.attn.v, s.v}});
        op.attention(s.q, s.k, s.v, attention, s.cache[i], s.attended);
        op.mark(Mark::Heads, i, s.attended);
        op.matmul_add({s.attended}, l.attn.output, s.x);
      }
      op.mark(Mark::Middle, i, s.x);
      op.glu({s.x, l.ffn.norm, c.norm_epsilon}, l.ffn.gate, l.ffn.up, Glu::Gelu, s.gated);
      op.matmul_add({s.gated}, l.ffn.down, s.x);
      op.mark(Mark::End, i, s.x);
    }
    head(op, s, s.x, output);
  }

  void head(Ops &op, State &, Rows x, const Output &output) const override {
    op.logits({x, w.ends.output_norm, c.norm_epsilon}, *w.ends.head, c.final_softcap, output.n, output.logits);
  }

private:
  static constexpr uint32_t kMaxBlock = 4096;

  Status load(Loader &loader, int at, RecurrentWeights &r) const {
    const uint32_t n = c.shape.n_recurrent, n_embd = c.shape.n_embd;
    SLM_TRY(loader.linear_with_bias(at, "rec_gate", n, n_embd, r.gate));
    SLM_TRY(loader.linear_with_bias(at, "rec_in", n, n_embd, r.in));
    SLM_TRY(loader.convolution(at, "rec_conv", n, c.n_taps, r.convolution));
    SLM_TRY(loader.linear_with_bias(at, "rec_input_gate", n, c.block, r.input_gate));
    SLM_TRY(loader.linear_with_bias(at, "rec_recurrence_gate", n, c.block, r.recurrence));
    SLM_TRY(loader.vector(at, "rec_decay", n, r.decay));
    return loader.linear_with_bias(at, "rec_out", n_embd, n, r.out);
  }

  Config c;
  Weights w;
};

} // namespace

std::unique_ptr<Family> new_recurrentgemma() { return std::make_unique<RecurrentGemma>(); }

} // namespace slm
