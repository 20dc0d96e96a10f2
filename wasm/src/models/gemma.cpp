// gemma.cpp: Gemma (Gemma Team 2024), Gemma 2 and Gemma 3: scaled embeddings
// tied to the head, GeGLU; Gemma 2 adds post-norms, soft caps and sliding
// windows on every other layer; Gemma 3 drops the caps, normalizes queries and
// keys, and has five local layers, with a rope base of their own, to a global
// one. VaultGemma (VaultGemma Team 2025) keeps Gemma 2's caps, and neither its
// post-norms nor its windows. EmbeddingGemma (Vera et al. 2025) is Gemma 3 whose
// tokens see both ways, and whose mean two more matrices turn into an embedding.
// RMSNorm's +1 is in the weights of a GGUF.
#include <algorithm>

#include "block.h"

namespace slm {
namespace {

struct Traits {
  bool post_norms, softcaps, qk_norm;
  uint32_t window_period; // every such layer is global, the others local; 0: all global
  bool embeds = false;
};

struct Config {
  Traits traits;
  ModelShape shape;
  float norm_epsilon;
  uint32_t sliding_window;
  float attn_softcap, final_softcap; // 0 is off
  float attention_scale;
};

struct Layer {
  AttentionWeights attn;
  float *attn_post_norm = nullptr; // (n_embd), or null
  FeedForwardWeights ffn;
  float *ffn_post_norm = nullptr; // (n_embd), or null
};

struct Weights {
  Ends ends;
  std::vector<Layer> layers;
  Rope global_rope, local_rope;
  Linear dense_2; // (n_wide, n_embd), where it embeds
  Linear dense_3; // (n_embedding, n_wide)
};

struct GemmaState : BlockState {
  Rows branch; // n_embd
  Rows pooled; // n_embd, one row
  Rows wide;   // n_wide, one row

  GemmaState(Arena &arena, const ModelShape &shape) : BlockState(arena, shape), branch(arena.rows(shape.n_embd)) {
    if (shape.embeds()) pooled = arena.rows(shape.n_embd, true), wide = arena.rows(shape.n_wide, true);
  }
};

class Gemma : public Family {
public:
  explicit Gemma(Traits traits) { c.traits = traits; }

  Status load(Loader &loader) override {
    ModelShape &s = c.shape;
    SLM_TRY(loader.shape(s));
    SLM_TRY(loader.number("attention.layer_norm_rms_epsilon", c.norm_epsilon, 1e-6f));
    SLM_TRY(loader.number("attention.sliding_window", c.sliding_window, 0));
    if (c.traits.window_period == 0) c.sliding_window = 0;
    SLM_TRY(loader.number("attn_logit_softcapping", c.attn_softcap, c.traits.softcaps ? 50.f : 0.f));
    SLM_TRY(loader.number("final_logit_softcapping", c.final_softcap, c.traits.softcaps ? 30.f : 0.f));
    // The 27B models scale by the embedding's share of a head; no key says so,
    // only their number of layers.
    const bool by_embedding =
        loader.architecture() == "gemma2" ? s.n_layer == 46 : loader.architecture() == "gemma3" && s.n_layer == 62;
    c.attention_scale = inverse_sqrt(by_embedding ? s.n_embd / s.n_head : s.head_dim);
    SLM_TRY(loader.rope(w.global_rope, true, s.rope_dims, c.traits.qk_norm ? 1000000.f : 10000.f));
    if (c.traits.qk_norm) {
      float base;
      SLM_TRY(loader.number("rope.freq_base_swa", base, 10000.f));
      SLM_TRY(loader.plain_rope(w.local_rope, true, s.rope_dims, base));
    }

    w.layers.resize(s.n_layer);
    for (uint32_t i = 0; i < s.n_layer; i++) {
      Layer &l = w.layers[i];
      SLM_TRY(l.attn.load(loader, i, s, c.traits.qk_norm));
      SLM_TRY(l.ffn.load(loader, i, s));
      if (c.traits.post_norms) {
        SLM_TRY(loader.vector(static_cast<int>(i), "post_attention_norm", s.n_embd, l.attn_post_norm));
        SLM_TRY(loader.vector(static_cast<int>(i), "post_ffw_norm", s.n_embd, l.ffn_post_norm));
      }
    }
    SLM_TRY(w.ends.load(loader, s));
    if (!c.traits.embeds) return SLM_OK;
    SLM_TRY(loader.number("dense_2_feat_out", s.n_wide));
    SLM_TRY(loader.number("dense_3_feat_out", s.n_embedding));
    SLM_TRY(loader.between("dense_2_feat_out", s.n_wide, 1, Loader::kMaxWidth));
    SLM_TRY(loader.between("dense_3_feat_out", s.n_embedding, 1, Loader::kMaxWidth));
    SLM_TRY(loader.linear(-1, "dense_2", s.n_wide, s.n_embd, w.dense_2));
    return loader.linear(-1, "dense_3", s.n_embedding, s.n_wide, w.dense_3);
  }

  const ModelShape &shape() const override { return c.shape; }
  bool is_global(uint32_t layer) const {
    return c.traits.window_period == 0 || (layer + 1) % c.traits.window_period == 0;
  }
  /// Of a model that embeds, both ways, and its cache has to hold the whole text.
  uint32_t window(uint32_t layer) const override { return is_global(layer) || c.traits.embeds ? 0 : c.sliding_window; }

  std::unique_ptr<State> new_state(Arena &arena) const override { return std::make_unique<GemmaState>(arena, c.shape); }

  void forward(Ops &op, State &state, const Output &output) const override {
    GemmaState &s = static_cast<GemmaState &>(state);
    const ModelShape &m = c.shape;
    const bool two_ropes = c.traits.qk_norm;
    AttentionSpec attention{m.n_head, m.n_head_kv, m.head_dim, &w.global_rope};
    attention.scale = c.attention_scale;
    attention.softcap = c.attn_softcap;
    attention.norm_epsilon = c.norm_epsilon;

    op.rotations({&w.global_rope});
    if (two_ropes) op.rotations({&w.local_rope});
    op.embed(w.ends.token_embd.weight, std::sqrt(float(m.n_embd)), s.x);
    for (uint32_t i = layers.first; i < layers.end; i++) {
      const Layer &l = w.layers[i];
      op.matmul({s.x, l.attn.norm, c.norm_epsilon}, {{l.attn.q, s.q}, {l.attn.k, s.k}, {l.attn.v, s.v}});
      attention.rope = two_ropes && !is_global(i) ? &w.local_rope : &w.global_rope;
      attention.window = window(i);
      if (c.traits.embeds) attention.see_both_ways(is_global(i) ? 0 : c.sliding_window);
      attention.q_norm = l.attn.q_norm, attention.k_norm = l.attn.k_norm;
      op.attention(s.q, s.k, s.v, attention, s.cache[i], s.attended);
      op.mark(Mark::Heads, i, s.attended);
      residual(op, s.attended, l.attn.output, l.attn_post_norm, s);
      op.mark(Mark::Middle, i, s.x);
      op.glu({s.x, l.ffn.norm, c.norm_epsilon}, l.ffn.gate, l.ffn.up, Glu::Gelu, s.gated);
      residual(op, s.gated, l.ffn.down, l.ffn_post_norm, s);
      op.mark(Mark::End, i, s.x);
    }
    head(op, s, s.x, output);
  }

  void head(Ops &op, State &state, Rows x, const Output &output) const override {
    GemmaState &s = static_cast<GemmaState &>(state);
    const Input last{x, w.ends.output_norm, c.norm_epsilon};
    if (!c.traits.embeds) return op.logits(last, *w.ends.head, c.final_softcap, output.n, output.logits);
    op.pool(last, Pooling::Mean, s.pooled);
    op.matmul({s.pooled}, {{w.dense_2, s.wide}});
    op.logits({s.wide}, w.dense_3, 0, std::min(output.n, 1u), output.logits);
  }

private:
  /// x += W y, or x += norm(W y) where the family normalizes after a block.
  void residual(Ops &op, Rows y, const Linear &linear, const float *post_norm, GemmaState &s) const {
    if (post_norm == nullptr) return op.matmul_add({y}, linear, s.x);
    op.matmul({y}, {{linear, s.branch}});
    op.add_rmsnorm(s.branch, post_norm, c.norm_epsilon, s.x);
  }

  Config c;
  Weights w;
};

} // namespace

std::unique_ptr<Family> new_gemma() { return std::make_unique<Gemma>(Traits{false, false, false, 0}); }
std::unique_ptr<Family> new_gemma2() { return std::make_unique<Gemma>(Traits{true, true, false, 2}); }
std::unique_ptr<Family> new_vaultgemma() { return std::make_unique<Gemma>(Traits{false, true, false, 0}); }
std::unique_ptr<Family> new_gemma3() { return std::make_unique<Gemma>(Traits{true, false, true, 6}); }
std::unique_ptr<Family> new_gemma_embedding() { return std::make_unique<Gemma>(Traits{true, false, true, 6, true}); }

} // namespace slm
