// bert.cpp: BERT (Devlin et al. 2019) as sentence-transformers use it (MiniLM,
// bge, e5): learned positions, attention both ways, a norm after each sum, and
// the mean of all rows, or the first one, as the embedding.
#include <algorithm>

#include "block.h"

namespace slm {
namespace {

struct Config {
  ModelShape shape;
  float norm_epsilon;
  Pooling pooling;
};

struct Layer {
  Linear q, k, v;     // (n_embd, n_embd) each
  Linear attn_output; // (n_embd, n_embd)
  LayerNorm attn_norm;
  Linear up;   // (n_ff, n_embd)
  Linear down; // (n_embd, n_ff)
  LayerNorm ffn_norm;
};

struct Weights {
  Linear tokens;    // (n_vocab, n_embd)
  Linear positions; // (n_ctx_train, n_embd)
  Linear types;     // (n_types, n_embd), of which a text alone has the first
  LayerNorm norm;
  std::vector<Layer> layers;
};

class Bert : public Family {
public:
  Status load(Loader &loader) override {
    ModelShape &s = c.shape;
    SLM_TRY(loader.shape(s));
    SLM_TRY(loader.number("attention.layer_norm_epsilon", c.norm_epsilon, 1e-12f));
    SLM_TRY(read_pooling(loader));
    s.n_embedding = s.n_embd;
    uint32_t n_types;
    SLM_TRY(loader.global_number("tokenizer.ggml.token_type_count", n_types, 2));
    SLM_TRY(loader.linear(-1, "token_embd", s.n_vocab, s.n_embd, w.tokens));
    SLM_TRY(loader.linear(-1, "position_embd", s.n_ctx_train, s.n_embd, w.positions));
    SLM_TRY(loader.linear(-1, "token_types", n_types, s.n_embd, w.types));
    SLM_TRY(norm(loader, -1, "token_embd_norm", w.norm));
    const uint32_t n_q = s.n_head * s.head_dim, n_kv = s.n_head_kv * s.head_dim;
    w.layers.resize(s.n_layer);
    for (uint32_t i = 0; i < s.n_layer; i++) {
      Layer &l = w.layers[i];
      const int at = static_cast<int>(i);
      SLM_TRY(loader.linear_with_bias(at, "attn_q", n_q, s.n_embd, l.q));
      SLM_TRY(loader.linear_with_bias(at, "attn_k", n_kv, s.n_embd, l.k));
      SLM_TRY(loader.linear_with_bias(at, "attn_v", n_kv, s.n_embd, l.v));
      SLM_TRY(loader.linear_with_bias(at, "attn_output", s.n_embd, n_q, l.attn_output));
      SLM_TRY(norm(loader, at, "attn_output_norm", l.attn_norm));
      SLM_TRY(loader.linear_with_bias(at, "ffn_up", s.n_ff, s.n_embd, l.up));
      SLM_TRY(loader.linear_with_bias(at, "ffn_down", s.n_embd, s.n_ff, l.down));
      SLM_TRY(norm(loader, at, "layer_output_norm", l.ffn_norm));
    }
    return SLM_OK;
  }

  const ModelShape &shape() const override { return c.shape; }
  uint32_t window(uint32_t) const override { return 0; }

  std::unique_ptr<State> new_state(Arena &arena) const override { return std::make_unique<BlockState>(arena, c.shape); }

  void forward(Ops &op, State &state, const Output &output) const override {
    BlockState &s = static_cast<BlockState &>(state);
    const ModelShape &m = c.shape;
    AttentionSpec attention{m.n_head, m.n_head_kv, m.head_dim, nullptr};
    attention.scale = inverse_sqrt(m.head_dim);
    attention.ahead = UINT32_MAX;

    op.embed(w.tokens.weight, 1, s.x);
    op.add_embedding(w.positions.weight, Index::Position, s.x);
    op.add_embedding(w.types.weight, Index::First, s.x);
    op.layernorm(w.norm, s.x, s.x);
    for (uint32_t i = layers.first; i < layers.end; i++) {
      const Layer &l = w.layers[i];
      op.matmul({s.x}, {{l.q, s.q}, {l.k, s.k}, {l.v, s.v}});
      op.attention(s.q, s.k, s.v, attention, s.cache[i], s.attended);
      op.matmul_add({s.attended}, l.attn_output, s.x);
      op.layernorm(l.attn_norm, s.x, s.x);
      op.matmul({s.x}, {{l.up, s.gated}});
      op.gelu(s.gated, GeluForm::Erf);
      op.matmul_add({s.gated}, l.down, s.x);
      op.layernorm(l.ffn_norm, s.x, s.x);
    }
    head(op, s, s.x, output);
  }

  void head(Ops &op, State &, Rows x, const Output &output) const override {
    if (output.n != 0) op.pool({x}, c.pooling, {output.logits, c.shape.n_embd});
  }

private:
  Status norm(Loader &loader, int layer, std::string_view name, LayerNorm &out) const {
    out.epsilon = c.norm_epsilon;
    return loader.layernorm(layer, name, c.shape.n_embd, out);
  }

  Status read_pooling(Loader &loader) {
    uint32_t kind; // llama.cpp's numbers
    SLM_TRY(loader.number("pooling_type", kind));
    if (kind < 1 || kind > 3)
      return fail(SLM_ERR_UNSUPPORTED, "'bert.pooling_type' is ", kind,
                  "; models whose rows are pooled by their mean (1), the first (2) or the last (3) are supported");
    c.pooling = kind == 1 ? Pooling::Mean : kind == 2 ? Pooling::First : Pooling::Last;
    return SLM_OK;
  }

  Config c;
  Weights w;
};

} // namespace

std::unique_ptr<Family> new_bert() { return std::make_unique<Bert>(); }

} // namespace slm
