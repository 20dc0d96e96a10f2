// llama.cpp: Llama (Touvron et al. 2023; Llama 3.x, SmolLM2) and those that
// differ from it by a trait or two, Qwen2, Qwen3, SmolLM3, Phi-3 and 4 mini
// (Abdin et al. 2024) and Ministral 3: pre-norm, grouped-query attention, rotary
// positions, SwiGLU.
#include "block.h"

namespace slm {
namespace {

struct Traits {
  bool neox;                     // rotary pairs are half a head apart, not neighbours
  bool qk_norm;                  // queries and keys are normalized per head
  uint32_t unrotated_period = 0; // every such layer knows no positions (NoPE, Yang et al. 2025); 0: none
  bool windowed = false;         // every layer sees no further than the file says
};

struct Config {
  Traits traits;
  ModelShape shape;
  float norm_epsilon;
  uint32_t sliding_window = 0; // 0: all positions
  float temperature;           // of attention over many positions (Ministral 3)
  uint32_t temperature_span;
};

struct Layer {
  AttentionWeights attn;
  FeedForwardWeights ffn;
};

struct Weights {
  Ends ends;
  std::vector<Layer> layers;
  Rope rope;
};

class Llama : public Family {
public:
  explicit Llama(Traits traits) { c.traits = traits; }

  Status load(Loader &loader) override {
    ModelShape &s = c.shape;
    SLM_TRY(loader.shape(s));
    SLM_TRY(loader.number("attention.layer_norm_rms_epsilon", c.norm_epsilon, 1e-5f));
    SLM_TRY(loader.rope(w.rope, c.traits.neox, s.rope_dims, 10000));
    if (c.traits.windowed) SLM_TRY(loader.number("attention.sliding_window", c.sliding_window, 0));
    SLM_TRY(loader.number("attention.temperature_scale", c.temperature, 0.f));
    SLM_TRY(loader.number("rope.scaling.original_context_length", c.temperature_span, s.n_ctx_train));
    SLM_TRY(loader.between("rope.scaling.original_context_length", c.temperature_span, 1, 1u << 30));
    w.layers.resize(s.n_layer);
    for (uint32_t i = 0; i < s.n_layer; i++) {
      SLM_TRY(w.layers[i].attn.load(loader, i, s, c.traits.qk_norm));
      SLM_TRY(w.layers[i].ffn.load(loader, i, s));
    }
    return w.ends.load(loader, s);
  }

  const ModelShape &shape() const override { return c.shape; }
  uint32_t window(uint32_t) const override { return c.sliding_window; }

  std::unique_ptr<State> new_state(Arena &arena) const override { return std::make_unique<BlockState>(arena, c.shape); }

  void forward(Ops &op, State &state, const Output &output) const override {
    BlockState &s = static_cast<BlockState &>(state);
    const ModelShape &m = c.shape;
    AttentionSpec attention{m.n_head, m.n_head_kv, m.head_dim, &w.rope};
    attention.scale = inverse_sqrt(m.head_dim);
    attention.norm_epsilon = c.norm_epsilon;
    attention.window = c.sliding_window;
    attention.temperature = c.temperature, attention.temperature_span = float(c.temperature_span);

    op.rotations({&w.rope});
    op.embed(w.ends.token_embd.weight, 1, s.x);
    for (uint32_t i = layers.first; i < layers.end; i++) {
      const Layer &l = w.layers[i];
      op.matmul({s.x, l.attn.norm, c.norm_epsilon}, {{l.attn.q, s.q}, {l.attn.k, s.k}, {l.attn.v, s.v}});
      attention.rope = is_rotated(i) ? &w.rope : nullptr;
      attention.q_norm = l.attn.q_norm, attention.k_norm = l.attn.k_norm;
      op.attention(s.q, s.k, s.v, attention, s.cache[i], s.attended);
      op.mark(Mark::Heads, i, s.attended);
      op.matmul_add({s.attended}, l.attn.output, s.x);
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
  bool is_rotated(uint32_t layer) const {
    return c.traits.unrotated_period == 0 || (layer + 1) % c.traits.unrotated_period != 0;
  }

  Config c;
  Weights w;
};

} // namespace

std::unique_ptr<Family> new_llama() { return std::make_unique<Llama>(Traits{false, false}); }
std::unique_ptr<Family> new_qwen2() { return std::make_unique<Llama>(Traits{true, false}); }
std::unique_ptr<Family> new_qwen3() { return std::make_unique<Llama>(Traits{true, true}); }
std::unique_ptr<Family> new_mistral3() { return std::make_unique<Llama>(Traits{false, false}); }
std::unique_ptr<Family> new_smollm3() { return std::make_unique<Llama>(Traits{false, false, 4}); }
std::unique_ptr<Family> new_phi3() { return std::make_unique<Llama>(Traits{true, false, 0, true}); }

} // namespace slm
