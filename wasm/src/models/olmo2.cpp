// olmo2.cpp: OLMo 2 (OLMo et al. 2025) and OLMo 3 (2025), whose GGUF has the same
// architecture: norms behind attention and feed-forward and none before them,
// queries and keys normalized over all their heads at once. OLMo 3 has local
// layers beside global ones, of which only these stretch their positions.
#include "block.h"

namespace slm {
namespace {

struct Config {
  ModelShape shape;
  float norm_epsilon;
  uint32_t sliding_window;     // 0: all layers are global
  std::vector<int32_t> locals; // of each layer, whether it is local
};

struct Layer {
  Linear q;              // (n_head * head_dim, n_embd)
  Linear k, v;           // (n_head_kv * head_dim, n_embd)
  float *q_norm;         // (n_head * head_dim)
  float *k_norm;         // (n_head_kv * head_dim)
  Linear attn_output;    // (n_embd, n_head * head_dim)
  float *attn_post_norm; // (n_embd)
  Linear gate, up;       // (n_ff, n_embd)
  Linear down;           // (n_embd, n_ff)
  float *ffn_post_norm;  // (n_embd)
};

struct Weights {
  Ends ends;
  std::vector<Layer> layers;
  Rope global_rope, local_rope;
};

struct Olmo2State : BlockState {
  Rows q_all;  // n_head * head_dim, before its norm
  Rows k_all;  // n_head_kv * head_dim
  Rows branch; // n_embd

  Olmo2State(Arena &arena, const ModelShape &s)
      : BlockState(arena, s), q_all(arena.rows(s.n_head * s.head_dim)), k_all(arena.rows(s.n_head_kv * s.head_dim)),
        branch(arena.rows(s.n_embd)) {}
};

class Olmo2 : public Family {
public:
  Status load(Loader &loader) override {
    ModelShape &s = c.shape;
    SLM_TRY(loader.shape(s));
    SLM_TRY(loader.number("attention.layer_norm_rms_epsilon", c.norm_epsilon, 1e-5f));
    SLM_TRY(loader.number("attention.sliding_window", c.sliding_window, 0));
    SLM_TRY(loader.pattern("attention.sliding_window_pattern", s.n_layer, c.sliding_window == 0 ? 1 : 4, c.locals));
    SLM_TRY(loader.rope(w.global_rope, true, s.rope_dims, 10000));
    float base;
    SLM_TRY(loader.number("rope.freq_base", base, 10000.f));
    SLM_TRY(loader.number("rope.freq_base_swa", base, base));
    SLM_TRY(loader.plain_rope(w.local_rope, true, s.rope_dims, base));
    w.layers.resize(s.n_layer);
    for (uint32_t i = 0; i < s.n_layer; i++)
      SLM_TRY(load(loader, static_cast<int>(i), w.layers[i]));
    return w.ends.load(loader, s);
  }

  const ModelShape &shape() const override { return c.shape; }
  uint32_t window(uint32_t layer) const override { return c.locals[layer] ? c.sliding_window : 0; }

  std::unique_ptr<State> new_state(Arena &arena) const override { return std::make_unique<Olmo2State>(arena, c.shape); }

  void forward(Ops &op, State &state, const Output &output) const override {
    Olmo2State &s = static_cast<Olmo2State &>(state);
    const ModelShape &m = c.shape;
    AttentionSpec attention{m.n_head, m.n_head_kv, m.head_dim, nullptr};
    attention.scale = inverse_sqrt(m.head_dim);

    op.rotations({&w.global_rope, &w.local_rope});
    op.embed(w.ends.token_embd.weight, 1, s.x);
    for (uint32_t i = layers.first; i < layers.end; i++) {
      const Layer &l = w.layers[i];
      op.matmul({s.x}, {{l.q, s.q_all}, {l.k, s.k_all}, {l.v, s.v}});
      op.rmsnorm({s.q_all, l.q_norm, c.norm_epsilon}, s.q);
      op.rmsnorm({s.k_all, l.k_norm, c.norm_epsilon}, s.k);
      attention.rope = c.locals[i] ? &w.local_rope : &w.global_rope;
      attention.window = window(i);
      op.attention(s.q, s.k, s.v, attention, s.cache[i], s.attended);
      op.mark(Mark::Heads, i, s.attended);
      op.matmul({s.attended}, {{l.attn_output, s.branch}});
      op.add_rmsnorm(s.branch, l.attn_post_norm, c.norm_epsilon, s.x);
      op.mark(Mark::Middle, i, s.x);
      op.glu({s.x}, l.gate, l.up, Glu::Silu, s.gated);
      op.matmul({s.gated}, {{l.down, s.branch}});
      op.add_rmsnorm(s.branch, l.ffn_post_norm, c.norm_epsilon, s.x);
      op.mark(Mark::End, i, s.x);
    }
    head(op, s, s.x, output);
  }

  void head(Ops &op, State &, Rows x, const Output &output) const override {
    op.logits({x, w.ends.output_norm, c.norm_epsilon}, *w.ends.head, 0, output.n, output.logits);
  }

private:
  Status load(Loader &loader, int at, Layer &l) const {
    const ModelShape &s = c.shape;
    const uint32_t n_q = s.n_head * s.head_dim, n_kv = s.n_head_kv * s.head_dim;
    SLM_TRY(loader.linear(at, "attn_q", n_q, s.n_embd, l.q));
    SLM_TRY(loader.linear(at, "attn_k", n_kv, s.n_embd, l.k));
    SLM_TRY(loader.linear(at, "attn_v", n_kv, s.n_embd, l.v));
    SLM_TRY(loader.vector(at, "attn_q_norm", n_q, l.q_norm));
    SLM_TRY(loader.vector(at, "attn_k_norm", n_kv, l.k_norm));
    SLM_TRY(loader.linear(at, "attn_output", s.n_embd, n_q, l.attn_output));
    SLM_TRY(loader.vector(at, "post_attention_norm", s.n_embd, l.attn_post_norm));
    SLM_TRY(loader.linear(at, "ffn_gate", s.n_ff, s.n_embd, l.gate));
    SLM_TRY(loader.linear(at, "ffn_up", s.n_ff, s.n_embd, l.up));
    SLM_TRY(loader.linear(at, "ffn_down", s.n_embd, s.n_ff, l.down));
    return loader.vector(at, "post_ffw_norm", s.n_embd, l.ffn_post_norm);
  }

  Config c;
  Weights w;
};

} // namespace

std::unique_ptr<Family> new_olmo2() { return std::make_unique<Olmo2>(); }

} // namespace slm
