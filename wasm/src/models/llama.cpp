// llama.cpp: Llama (Touvron et al. 2023; Llama 3.x, SmolLM2) and those that
// differ from it by a trait or two, Qwen2 and Qwen3: pre-norm, grouped-query
// attention, rotary positions, SwiGLU.
#include "model.h"

namespace slm {
namespace {

struct Traits {
  bool neox;    // rotary pairs are half a head apart, not neighbours
  bool qk_norm; // queries and keys are normalized per head
};

struct Config {
  Traits traits;
  ModelShape shape;
  float norm_epsilon;
};

struct Layer {
  float *attn_norm;        // (n_embd)
  Linear attn_q;           // (n_head * head_dim, n_embd)
  Linear attn_k, attn_v;   // (n_head_kv * head_dim, n_embd)
  float *q_norm, *k_norm;  // (head_dim), or null
  Linear attn_output;      // (n_embd, n_head * head_dim)
  float *ffn_norm;         // (n_embd)
  Linear ffn_gate, ffn_up; // (n_ff, n_embd)
  Linear ffn_down;         // (n_embd, n_ff)
};

struct Weights {
  Linear token_embd; // (n_vocab, n_embd)
  std::vector<Layer> layers;
  float *output_norm; // (n_embd)
  Linear output;      // (n_vocab, n_embd), unless tied
  const Linear *head; // one of the two
  Rope rope;
};

struct LlamaState : State {
  Rows x;           // n_embd
  Rows q, attended; // n_head * head_dim
  Rows k, v;        // n_head_kv * head_dim
  Rows gated;       // n_ff
};

class Llama : public Family {
public:
  explicit Llama(Traits traits) { c.traits = traits; }

  Status load(Loader &loader) override {
    ModelShape &s = c.shape;
    SLM_TRY(loader.shape(s));
    SLM_TRY(loader.number("attention.layer_norm_rms_epsilon", c.norm_epsilon, 1e-5f));
    SLM_TRY(loader.rope(w.rope, c.traits.neox, s.rope_dims, 10000));
    const uint32_t n_q = s.n_head * s.head_dim, n_kv = s.n_head_kv * s.head_dim;
    w.layers.resize(s.n_layer);
    SLM_TRY(loader.linear(-1, "token_embd", s.n_vocab, s.n_embd, w.token_embd));
    for (uint32_t i = 0; i < s.n_layer; i++) {
      Layer &l = w.layers[i];
      const int at = static_cast<int>(i);
      SLM_TRY(loader.vector(at, "attn_norm", s.n_embd, l.attn_norm));
      SLM_TRY(loader.linear_with_bias(at, "attn_q", n_q, s.n_embd, l.attn_q));
      SLM_TRY(loader.linear_with_bias(at, "attn_k", n_kv, s.n_embd, l.attn_k));
      SLM_TRY(loader.linear_with_bias(at, "attn_v", n_kv, s.n_embd, l.attn_v));
      l.q_norm = l.k_norm = nullptr;
      if (c.traits.qk_norm) {
        SLM_TRY(loader.vector(at, "attn_q_norm", s.head_dim, l.q_norm));
        SLM_TRY(loader.vector(at, "attn_k_norm", s.head_dim, l.k_norm));
      }
      SLM_TRY(loader.linear_with_bias(at, "attn_output", s.n_embd, n_q, l.attn_output));
      SLM_TRY(loader.vector(at, "ffn_norm", s.n_embd, l.ffn_norm));
      SLM_TRY(loader.linear_with_bias(at, "ffn_gate", s.n_ff, s.n_embd, l.ffn_gate));
      SLM_TRY(loader.linear_with_bias(at, "ffn_up", s.n_ff, s.n_embd, l.ffn_up));
      SLM_TRY(loader.linear_with_bias(at, "ffn_down", s.n_embd, s.n_ff, l.ffn_down));
    }
    SLM_TRY(loader.vector(-1, "output_norm", s.n_embd, w.output_norm));
    return loader.head(s.n_embd, w.token_embd, w.output, w.head);
  }

  const ModelShape &shape() const override { return c.shape; }
  uint32_t window(uint32_t) const override { return 0; }

  std::unique_ptr<State> new_state(Arena &arena) const override {
    auto s = std::make_unique<LlamaState>();
    const ModelShape &m = c.shape;
    s->x = arena.rows(m.n_embd);
    s->q = arena.rows(m.n_head * m.head_dim), s->attended = arena.rows(m.n_head * m.head_dim);
    s->k = arena.rows(m.n_head_kv * m.head_dim), s->v = arena.rows(m.n_head_kv * m.head_dim);
    s->gated = arena.rows(m.n_ff);
    return s;
  }

  void forward(Ops &op, State &state, const Output &output) const override {
    LlamaState &s = static_cast<LlamaState &>(state);
    const ModelShape &m = c.shape;
    AttentionSpec attention{m.n_head, m.n_head_kv, m.head_dim, &w.rope};
    attention.scale = inverse_sqrt(m.head_dim);
    attention.norm_epsilon = c.norm_epsilon;

    op.rotations({&w.rope});
    op.embed(w.token_embd.weight, 1, s.x);
    for (uint32_t i = layers.first; i < layers.end; i++) {
      const Layer &l = w.layers[i];
      op.matmul({s.x, l.attn_norm, c.norm_epsilon}, {{l.attn_q, s.q}, {l.attn_k, s.k}, {l.attn_v, s.v}});
      attention.q_norm = l.q_norm, attention.k_norm = l.k_norm;
      op.attention(s.q, s.k, s.v, attention, s.cache[i], s.attended);
      op.matmul_add({s.attended}, l.attn_output, s.x);
      op.glu({s.x, l.ffn_norm, c.norm_epsilon}, l.ffn_gate, l.ffn_up, Glu::Silu, s.gated);
      op.matmul_add({s.gated}, l.ffn_down, s.x);
    }
    op.logits({s.x, w.output_norm, c.norm_epsilon}, *w.head, 0, output.n, output.logits);
  }

private:
  Config c;
  Weights w;
};

} // namespace

std::unique_ptr<Family> new_llama() { return std::make_unique<Llama>(Traits{false, false}); }
std::unique_ptr<Family> new_qwen2() { return std::make_unique<Llama>(Traits{true, false}); }
std::unique_ptr<Family> new_qwen3() { return std::make_unique<Llama>(Traits{true, true}); }

} // namespace slm
