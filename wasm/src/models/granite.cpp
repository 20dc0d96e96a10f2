// granite.cpp: Granite (IBM 2024, 2025): Llama's layers between four factors, of the
// embeddings, the scores of attention, what a block adds to the stream, and the
// logits. Granite 4's dense models may know no positions at all.
#include "block.h"

namespace slm {
namespace {

struct Config {
  ModelShape shape;
  float norm_epsilon;
  float embedding_scale, attention_scale, residual_scale;
  float logit_scale; // divides
  bool rotates;
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

class Granite : public Family {
public:
  Status load(Loader &loader) override {
    ModelShape &s = c.shape;
    SLM_TRY(loader.shape(s));
    SLM_TRY(loader.number("attention.layer_norm_rms_epsilon", c.norm_epsilon, 1e-5f));
    SLM_TRY(loader.number("embedding_scale", c.embedding_scale, 1.f));
    SLM_TRY(loader.number("attention.scale", c.attention_scale, inverse_sqrt(s.head_dim)));
    SLM_TRY(loader.number("residual_scale", c.residual_scale, 1.f));
    SLM_TRY(loader.number("logit_scale", c.logit_scale, 1.f));
    if (!(c.logit_scale > 0)) return fail(SLM_ERR_BAD_FILE, "'granite.logit_scale' should be above zero");
    // llama.cpp says by this key whether there are rotary positions.
    SLM_TRY(loader.flag("rope.scaling.finetuned", c.rotates, true));
    SLM_TRY(loader.rope(w.rope, false, s.rope_dims, 10000));
    w.layers.resize(s.n_layer);
    for (uint32_t i = 0; i < s.n_layer; i++) {
      SLM_TRY(w.layers[i].attn.load(loader, i, s, false));
      SLM_TRY(w.layers[i].ffn.load(loader, i, s));
    }
    return w.ends.load(loader, s);
  }

  const ModelShape &shape() const override { return c.shape; }
  uint32_t window(uint32_t) const override { return 0; }

  std::unique_ptr<State> new_state(Arena &arena) const override { return std::make_unique<BlockState>(arena, c.shape); }

  void forward(Ops &op, State &state, const Output &output) const override {
    BlockState &s = static_cast<BlockState &>(state);
    const ModelShape &m = c.shape;
    AttentionSpec attention{m.n_head, m.n_head_kv, m.head_dim, c.rotates ? &w.rope : nullptr};
    attention.scale = c.attention_scale;

    op.rotations({&w.rope});
    op.embed(w.ends.token_embd.weight, c.embedding_scale, s.x);
    for (uint32_t i = layers.first; i < layers.end; i++) {
      const Layer &l = w.layers[i];
      op.matmul({s.x, l.attn.norm, c.norm_epsilon}, {{l.attn.q, s.q}, {l.attn.k, s.k}, {l.attn.v, s.v}});
      op.attention(s.q, s.k, s.v, attention, s.cache[i], s.attended);
      op.mark(Mark::Heads, i, s.attended);
      op.matmul_add({s.attended}, l.attn.output, s.x, c.residual_scale);
      op.mark(Mark::Middle, i, s.x);
      op.glu({s.x, l.ffn.norm, c.norm_epsilon}, l.ffn.gate, l.ffn.up, Glu::Silu, s.gated);
      op.matmul_add({s.gated}, l.ffn.down, s.x, c.residual_scale);
      op.mark(Mark::End, i, s.x);
    }
    head(op, s, s.x, output);
  }

  void head(Ops &op, State &, Rows x, const Output &output) const override {
    op.logits({x, w.ends.output_norm, c.norm_epsilon}, *w.ends.head, 0, output.n, output.logits, 1 / c.logit_scale);
  }

private:
  Config c;
  Weights w;
};

} // namespace

std::unique_ptr<Family> new_granite() { return std::make_unique<Granite>(); }

} // namespace slm
