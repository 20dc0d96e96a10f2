// lfm2.cpp: LFM2 and LFM2.5 (Liquid AI 2025): short convolutions between two
// gates, and grouped-query attention with normalized queries and keys in a few
// layers; each is followed by SwiGLU. Which layers convolve, their tensors say.
#include "block.h"

namespace slm {
namespace {

struct Config {
  ModelShape shape;
  float norm_epsilon;
  uint32_t n_taps;
};

/// A convolution between two gates, which one product makes with what is convolved.
struct ConvolutionWeights {
  Linear in;               // (3 * n_embd, n_embd)
  Convolution convolution; // n_embd channels
  Linear out;              // (n_embd, n_embd)
};

struct Layer {
  bool convolves;
  AttentionWeights attn; // of a layer that convolves, its norm alone
  ConvolutionWeights conv;
  FeedForwardWeights ffn;
};

struct Weights {
  Ends ends;
  std::vector<Layer> layers;
  Rope rope;
};

struct Lfm2State : BlockState {
  Rows gated_in;  // 3 * n_embd
  Rows convolved; // n_embd

  Lfm2State(Arena &arena, const ModelShape &shape)
      : BlockState(arena, shape), gated_in(arena.rows(3 * shape.n_embd)), convolved(arena.rows(shape.n_embd)) {}
};

class Lfm2 : public Family {
public:
  Status load(Loader &loader) override {
    ModelShape &s = c.shape;
    SLM_TRY(loader.shape(s));
    SLM_TRY(loader.number("attention.layer_norm_rms_epsilon", c.norm_epsilon, 1e-5f));
    SLM_TRY(loader.number("shortconv.l_cache", c.n_taps));
    SLM_TRY(loader.between("shortconv.l_cache", c.n_taps, 2, Convolution::kMaxTaps));
    SLM_TRY(loader.refuse_variant("attention.causal", 1, "texts that are read both ways"));
    SLM_TRY(loader.refuse_variant("attention.sliding_window", 0, "sliding windows"));
    s.n_recurrent = 3 * s.n_embd;
    // Kernels take four channels.
    if (s.n_embd % 4 != 0)
      return fail(SLM_ERR_UNSUPPORTED, "convolutions of ", s.n_embd, " channels are not supported; multiples of 4 are");
    SLM_TRY(loader.rope(w.rope, true, s.rope_dims, 1000000));
    w.layers.resize(s.n_layer);
    for (uint32_t i = 0; i < s.n_layer; i++) {
      Layer &l = w.layers[i];
      const int at = static_cast<int>(i);
      l.convolves = loader.has(at, "shortconv.in_proj");
      if (l.convolves) {
        SLM_TRY(loader.vector(at, "attn_norm", s.n_embd, l.attn.norm));
        SLM_TRY(loader.linear(at, "shortconv.in_proj", 3 * s.n_embd, s.n_embd, l.conv.in));
        SLM_TRY(loader.convolution(at, "shortconv.conv", s.n_embd, c.n_taps, l.conv.convolution));
        SLM_TRY(loader.linear(at, "shortconv.out_proj", s.n_embd, s.n_embd, l.conv.out));
        l.conv.convolution.around = Around::Gates;
        l.conv.convolution.first = 2 * s.n_embd;
      } else {
        SLM_TRY(l.attn.load(loader, i, s, true));
      }
      SLM_TRY(l.ffn.load(loader, i, s));
    }
    return w.ends.load(loader, s, "token_embd_norm");
  }

  const ModelShape &shape() const override { return c.shape; }
  uint32_t window(uint32_t) const override { return 0; }
  RecurrentLayer recurrent(uint32_t layer) const override {
    if (!w.layers[layer].convolves) return {};
    return {.n_inputs = (c.n_taps - 1) * c.shape.n_embd};
  }

  std::unique_ptr<State> new_state(Arena &arena) const override { return std::make_unique<Lfm2State>(arena, c.shape); }

  void forward(Ops &op, State &state, const Output &output) const override {
    Lfm2State &s = static_cast<Lfm2State &>(state);
    const ModelShape &m = c.shape;
    AttentionSpec attention{m.n_head, m.n_head_kv, m.head_dim, &w.rope};
    attention.scale = inverse_sqrt(m.head_dim);
    attention.norm_epsilon = c.norm_epsilon;

    op.rotations({&w.rope});
    op.embed(w.ends.token_embd.weight, 1, s.x);
    for (uint32_t i = layers.first; i < layers.end; i++) {
      const Layer &l = w.layers[i];
      const Input x{s.x, l.attn.norm, c.norm_epsilon};
      if (l.convolves) {
        op.matmul(x, {{l.conv.in, s.gated_in}});
        op.convolve(s.gated_in, l.conv.convolution, s.recurrent[i], s.convolved);
        op.matmul_add({s.convolved}, l.conv.out, s.x);
      } else {
        op.matmul(x, {{l.attn.q, s.q}, {l.attn.k, s.k}, {l.attn.v, s.v}});
        attention.q_norm = l.attn.q_norm, attention.k_norm = l.attn.k_norm;
        op.attention(s.q, s.k, s.v, attention, s.cache[i], s.attended);
        op.mark(Mark::Heads, i, s.attended);
        op.matmul_add({s.attended}, l.attn.output, s.x);
      }
      op.mark(Mark::Middle, i, s.x);
      op.glu({s.x, l.ffn.norm, c.norm_epsilon}, l.ffn.gate, l.ffn.up, Glu::Silu, s.gated);
      op.matmul_add({s.gated}, l.ffn.down, s.x);
      op.mark(Mark::End, i, s.x);
    }
    head(op, s, s.x, output);
  }

  void head(Ops &op, State &, Rows x, const Output &output) const override {
    op.logits({x, w.ends.output_norm, c.norm_epsilon}, *w.ends.head, 0, output.n, output.logits);
  }

private:
  Config c;
  Weights w;
};

} // namespace

std::unique_ptr<Family> new_lfm2() { return std::make_unique<Lfm2>(); }

} // namespace slm
