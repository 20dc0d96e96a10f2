// t5gemma2.cpp: T5Gemma 2 (Zhang et al. 2025), its text: Gemma 3's layers twice. The encoder's see a prompt both ways;
// the decoder's attend, in one softmax, to what is written so far and to the whole prompt as the encoder has left it,
// whose keys and values the same matrices make, without rotation. Both share the embedding, which is the head too.
// Knows nothing of pictures. RMSNorm's +1 is in the weights of a GGUF; its schema is docs/gguf-t5gemma2.md.
#include "block.h"

namespace slm {
namespace {

constexpr uint32_t kWindowPeriod = 6; // every such layer is global, the others local

struct Config {
  ModelShape shape;
  float norm_epsilon;
  uint32_t sliding_window;
  float attention_scale;
};

struct Layer {
  AttentionWeights attn;
  float *attn_post_norm; // (n_embd)
  FeedForwardWeights ffn;
  float *ffn_post_norm; // (n_embd)
};

struct Weights {
  Ends ends;
  std::vector<Layer> encoder, decoder;
  float *encoder_norm; // (n_embd)
  Rope global_rope, local_rope;
};

struct T5Gemma2State : BlockState {
  Rows branch; // n_embd

  T5Gemma2State(Arena &arena, const ModelShape &shape) : BlockState(arena, shape), branch(arena.rows(shape.n_embd)) {}
};

class T5Gemma2 : public Family {
public:
  Status load(Loader &loader) override {
    ModelShape &s = c.shape;
    uint32_t start;
    SLM_TRY(loader.shape(s));
    SLM_TRY(loader.number("attention.layer_norm_rms_epsilon", c.norm_epsilon, 1e-6f));
    SLM_TRY(loader.number("attention.sliding_window", c.sliding_window));
    SLM_TRY(loader.between("attention.sliding_window", c.sliding_window, 1, 1u << 30));
    SLM_TRY(loader.number("decoder_start_token_id", start));
    SLM_TRY(loader.between("decoder_start_token_id", start, 0, s.n_vocab - 1));
    s.start = static_cast<int32_t>(start);
    c.attention_scale = inverse_sqrt(s.head_dim);
    float base;
    SLM_TRY(loader.rope(w.global_rope, true, s.rope_dims, 1000000.f));
    SLM_TRY(loader.number("rope.freq_base_swa", base, 10000.f));
    SLM_TRY(loader.plain_rope(w.local_rope, true, s.rope_dims, base));
    SLM_TRY(w.ends.load(loader, s));
    SLM_TRY(load_layers(loader, w.decoder));
    loader.under("enc.blk.");
    SLM_TRY(load_layers(loader, w.encoder));
    return loader.vector(-1, "enc.output_norm", s.n_embd, w.encoder_norm);
  }

  const ModelShape &shape() const override { return c.shape; }
  /// The prompt stays before the ring of a local layer; see Batch::slot.
  uint32_t window(uint32_t) const override { return 0; }

  std::unique_ptr<State> new_state(Arena &arena) const override {
    return std::make_unique<T5Gemma2State>(arena, c.shape);
  }

  void read(Ops &op, State &state) const override {
    T5Gemma2State &s = static_cast<T5Gemma2State &>(state);
    embed(op, s);
    for (uint32_t i = layers.first; i < layers.end; i++) {
      AttentionSpec attention = spec(i, w.encoder[i]);
      if (const uint32_t both = attention.window; both != 0)
        attention.window = (both + 1) / 2, attention.ahead = both / 2;
      else
        attention.ahead = UINT32_MAX;
      // The cache is the decoder's, whose keys come when the encoder's are no longer needed.
      block(op, s, w.encoder[i], attention, s.cache[i]);
    }
    op.rmsnorm({s.x, w.encoder_norm, c.norm_epsilon}, s.branch);
    for (uint32_t i = layers.first; i < layers.end; i++) {
      const Layer &l = w.decoder[i];
      AttentionSpec attention = spec(i, l);
      attention.rope = nullptr;
      op.matmul({s.branch}, {{l.attn.k, s.k}, {l.attn.v, s.v}});
      op.attention({}, s.k, s.v, attention, s.cache[i], {});
    }
  }

  void forward(Ops &op, State &state, const Output &output) const override {
    T5Gemma2State &s = static_cast<T5Gemma2State &>(state);
    embed(op, s);
    for (uint32_t i = layers.first; i < layers.end; i++)
      block(op, s, w.decoder[i], spec(i, w.decoder[i]), s.cache[i]);
    head(op, s, s.x, output);
  }

  void head(Ops &op, State &, Rows x, const Output &output) const override {
    op.logits({x, w.ends.output_norm, c.norm_epsilon}, *w.ends.head, 0, output.n, output.logits);
  }

private:
  Status load_layers(Loader &loader, std::vector<Layer> &all) {
    const ModelShape &s = c.shape;
    all.resize(s.n_layer);
    for (uint32_t i = 0; i < s.n_layer; i++) {
      Layer &l = all[i];
      SLM_TRY(l.attn.load(loader, i, s, true));
      SLM_TRY(l.ffn.load(loader, i, s));
      SLM_TRY(loader.vector(static_cast<int>(i), "post_attention_norm", s.n_embd, l.attn_post_norm));
      SLM_TRY(loader.vector(static_cast<int>(i), "post_ffw_norm", s.n_embd, l.ffn_post_norm));
    }
    return SLM_OK;
  }

  AttentionSpec spec(uint32_t layer, const Layer &l) const {
    const bool local = (layer + 1) % kWindowPeriod != 0;
    const ModelShape &m = c.shape;
    AttentionSpec attention{m.n_head, m.n_head_kv, m.head_dim, local ? &w.local_rope : &w.global_rope};
    attention.q_norm = l.attn.q_norm, attention.k_norm = l.attn.k_norm;
    attention.norm_epsilon = c.norm_epsilon;
    attention.scale = c.attention_scale;
    attention.window = local ? c.sliding_window : 0;
    return attention;
  }

  void embed(Ops &op, T5Gemma2State &s) const {
    op.rotations({&w.global_rope, &w.local_rope});
    op.embed(w.ends.token_embd.weight, std::sqrt(float(c.shape.n_embd)), s.x);
  }

  void block(Ops &op, T5Gemma2State &s, const Layer &l, const AttentionSpec &attention, KvLayer &cache) const {
    op.matmul({s.x, l.attn.norm, c.norm_epsilon}, {{l.attn.q, s.q}, {l.attn.k, s.k}, {l.attn.v, s.v}});
    op.attention(s.q, s.k, s.v, attention, cache, s.attended);
    op.matmul({s.attended}, {{l.attn.output, s.branch}});
    op.add_rmsnorm(s.branch, l.attn_post_norm, c.norm_epsilon, s.x);
    op.glu({s.x, l.ffn.norm, c.norm_epsilon}, l.ffn.gate, l.ffn.up, Glu::Gelu, s.gated);
    op.matmul({s.gated}, {{l.ffn.down, s.branch}});
    op.add_rmsnorm(s.branch, l.ffn_post_norm, c.norm_epsilon, s.x);
  }

  Config c;
  Weights w;
};

} // namespace

std::unique_ptr<Family> new_t5gemma2() { return std::make_unique<T5Gemma2>(); }

} // namespace slm
