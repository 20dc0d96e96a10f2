// gemma4.cpp: Gemma 4 E2B and E4B (Gemma Team 2026): Gemma 3's layers with heads
// that are larger where a layer sees everything, values that are normalized, and a
// factor for each layer's output. Every layer has embeddings of its own, of which a
// token's rows are looked up once and enter each layer through a gate. The last
// layers attend to the keys and values of the last ones before them: a prompt's
// tokens end there, and only those whose logits are wanted go on. Larger models
// have no such embeddings and fit no page. EmbeddingGemma 2 (Google 2026) has the
// same layers with tokens that see both ways; each layer's embeddings are made of
// a token's own alone, and one more matrix of its tokens' mean an embedding.
#include <algorithm>

#include "block.h"

namespace slm {
namespace {

struct Config {
  bool embeds;
  ModelShape shape; // where layers differ, the largest
  float norm_epsilon;
  uint32_t sliding_window;
  uint32_t local_head_dim;
  uint32_t n_per_layer; // columns of a layer's embeddings
  uint32_t n_shared;    // last layers, which attend to others' keys and values
  float final_softcap;  // 0 is off

  uint32_t first_shared() const { return shape.n_layer - n_shared; }
  uint32_t per_layer_width() const { return shape.n_layer * n_per_layer; }
};

struct Layer {
  bool is_local;
  uint32_t source;  // the layer whose keys and values it attends to
  ModelShape shape; // its own sizes
  float *scale;     // (1), of its output
  AttentionWeights attn;
  float *attn_post_norm; // (n_embd)
  FeedForwardWeights ffn;
  float *ffn_post_norm;  // (n_embd)
  Linear per_layer_gate; // (n_per_layer, n_embd)
  Linear per_layer_up;   // (n_embd, n_per_layer)
  float *per_layer_norm; // (n_embd)
};

struct Weights {
  Ends ends;
  std::vector<Layer> layers;
  Rope global_rope, local_rope;
  RowTable per_layer_embd;     // (n_vocab, n_layer * n_per_layer), unless it embeds
  Linear per_layer_projection; // (n_layer * n_per_layer, n_embd)
  float *per_layer_norm;       // (n_per_layer)
};

struct Gemma4State : BlockState {
  Rows branch;    // n_embd
  Rows per_layer; // n_layer * n_per_layer
  Rows gated_one; // n_per_layer
  Rows projected; // n_layer * n_per_layer, or where it embeds
  Rows normed;    // n_per_layer, and
  Rows pooled;    // n_embd, one row

  Gemma4State(Arena &arena, const Config &c)
      : BlockState(arena, c.shape), branch(arena.rows(c.shape.n_embd)), per_layer(arena.rows(c.per_layer_width())),
        gated_one(arena.rows(c.n_per_layer)) {
    if (c.embeds)
      normed = arena.rows(c.n_per_layer), pooled = arena.rows(c.shape.n_embd, true);
    else
      projected = arena.rows(c.per_layer_width());
  }
};

class Gemma4 : public Family {
public:
  explicit Gemma4(bool embeds) { c.embeds = embeds; }

  Status load(Loader &loader) override {
    SLM_TRY(read_config(loader));
    SLM_TRY(lay_out(loader));
    const ModelShape &s = c.shape;
    const uint32_t width = c.per_layer_width();
    for (uint32_t i = 0; i < s.n_layer; i++)
      SLM_TRY(load_layer(loader, i));
    SLM_TRY(loader.linear(-1, "per_layer_model_proj", width, s.n_embd, w.per_layer_projection));
    SLM_TRY(loader.vector(-1, "per_layer_proj_norm", c.n_per_layer, w.per_layer_norm));
    if (!c.embeds) {
      SLM_TRY(loader.row_table("per_layer_token_embd", s.n_vocab, width, w.per_layer_embd));
      return w.ends.load(loader, s);
    }
    SLM_TRY(loader.linear(-1, "token_embd", s.n_vocab, s.n_embd, w.ends.token_embd));
    SLM_TRY(loader.vector(-1, "output_norm", s.n_embd, w.ends.output_norm));
    return loader.linear(-1, "output", s.n_embedding, s.n_embd, w.ends.output);
  }

  const ModelShape &shape() const override { return c.shape; }
  /// Of a model that embeds, both ways, and its cache has to hold the whole text.
  uint32_t window(uint32_t layer) const override {
    return w.layers[layer].is_local && !c.embeds ? c.sliding_window : 0;
  }
  KvShape kv(uint32_t layer) const override {
    const Layer &l = w.layers[layer];
    return l.source == layer ? KvShape{l.shape.n_head_kv, l.shape.head_dim} : KvShape{};
  }
  uint32_t heads_width(uint32_t layer) const override {
    return w.layers[layer].shape.n_head * w.layers[layer].shape.head_dim;
  }
  bool looks_up() const override { return !c.embeds; }

  std::unique_ptr<State> new_state(Arena &arena) const override { return std::make_unique<Gemma4State>(arena, c); }

  void forward(Ops &op, State &state, const Output &output) const override {
    Gemma4State &s = static_cast<Gemma4State &>(state);
    const ModelShape &m = c.shape;
    Rows x = s.x, per_layer = s.per_layer; // of the tokens that are left

    op.rotations({&w.global_rope, &w.local_rope});
    op.embed(w.ends.token_embd.weight, std::sqrt(float(m.n_embd)), x);
    op.matmul({s.x}, {{w.per_layer_projection, c.embeds ? s.per_layer : s.projected}});
    if (!c.embeds) look_up_per_layer(op, s);
    for (uint32_t i = layers.first; i < layers.end; i++) {
      const Layer &l = w.layers[i];
      if (i == c.first_shared() && op.keep_last(output.n, {&x, &per_layer}) == 0) return;
      attend(op, i, s, x);
      op.mark(Mark::Middle, i, x);
      op.glu({x, l.ffn.norm, c.norm_epsilon}, l.ffn.gate, l.ffn.up, Glu::Gelu, narrow(s.gated, l.shape.n_ff));
      op.matmul({narrow(s.gated, l.shape.n_ff)}, {{l.ffn.down, s.branch}});
      op.add_rmsnorm(s.branch, l.ffn_post_norm, c.norm_epsilon, x);
      op.mark(Mark::MlpEnd, i, x);
      const uint32_t own = i * c.n_per_layer; // columns, from this one on
      if (c.embeds) op.rmsnorm({per_layer, w.per_layer_norm, projected_epsilon()}, s.normed, own);
      op.gate({x}, l.per_layer_gate, Glu::Gelu, c.embeds ? s.normed : per_layer, c.embeds ? 0 : own, s.gated_one);
      op.matmul({s.gated_one}, {{l.per_layer_up, s.branch}});
      // Twice the epsilon: see look_up_per_layer.
      op.add_rmsnorm(s.branch, l.per_layer_norm, (c.embeds ? 1 : 2) * c.norm_epsilon, x, *l.scale);
      op.mark(Mark::LayerEnd, i, x);
    }
    head(op, s, x, output);
  }

  void head(Ops &op, State &state, Rows x, const Output &output) const override {
    const Input last{x, w.ends.output_norm, c.norm_epsilon};
    if (!c.embeds) return op.logits(last, *w.ends.head, c.final_softcap, output.n, output.logits);
    const Rows pooled = static_cast<Gemma4State &>(state).pooled;
    op.pool(last, Pooling::Mean, pooled);
    op.logits({pooled}, w.ends.output, 0, std::min(output.n, 1u), output.logits);
  }

private:
  static Rows narrow(Rows rows, uint32_t width) { return {rows.data, width}; }

  /// Of norm(W x / sqrt(n_embd)): a norm takes the factor of its input into its epsilon.
  float projected_epsilon() const { return c.norm_epsilon * float(c.shape.n_embd); }

  /// Each layer's embeddings: norm(W x / sqrt(n_embd)) + sqrt(n_per_layer) e, all over sqrt(2). The factor of the sum
  /// is left to the norm behind each gate.
  void look_up_per_layer(Ops &op, Gemma4State &s) const {
    op.embed(w.per_layer_embd, std::sqrt(float(c.n_per_layer)), s.per_layer);
    op.add_rmsnorm_slices(s.projected, w.per_layer_norm, c.n_per_layer, projected_epsilon(), s.per_layer);
  }

  void attend(Ops &op, uint32_t layer, Gemma4State &s, Rows x) const {
    const Layer &l = w.layers[layer];
    const uint32_t head_dim = l.shape.head_dim, n_q = l.shape.n_head * head_dim, n_kv = l.shape.n_head_kv * head_dim;
    const Rows q = narrow(s.q, n_q), attended = narrow(s.attended, n_q);
    const Input in{x, l.attn.norm, c.norm_epsilon};
    Rows k{}, v{};
    if (l.source == layer) {
      k = narrow(s.k, n_kv), v = narrow(s.v, n_kv);
      op.matmul(in, {{l.attn.q, q}, {l.attn.k, k}, {l.attn.v, v}});
    } else {
      op.matmul(in, {{l.attn.q, q}});
    }
    AttentionSpec spec{l.shape.n_head, l.shape.n_head_kv, head_dim, l.is_local ? &w.local_rope : &w.global_rope};
    spec.q_norm = l.attn.q_norm, spec.k_norm = l.attn.k_norm;
    spec.v_norm = true;
    spec.norm_epsilon = c.norm_epsilon;
    spec.window = l.is_local ? c.sliding_window : 0;
    if (c.embeds) spec.see_both_ways(spec.window);
    op.attention(q, k, v, spec, s.cache[l.source], attended);
    op.mark(Mark::Heads, layer, attended);
    op.matmul({attended}, {{l.attn.output, s.branch}});
    op.add_rmsnorm(s.branch, l.attn_post_norm, c.norm_epsilon, x);
  }

  Status read_config(Loader &loader) {
    ModelShape &s = c.shape;
    SLM_TRY(loader.number("embedding_length_per_layer_input", c.n_per_layer, 0));
    if (c.embeds) {
      SLM_TRY(loader.number("embedding_length", s.n_embedding));
      SLM_TRY(loader.number("embedding_length_out", s.n_embedding, s.n_embedding));
      SLM_TRY(loader.between("embedding_length_out", s.n_embedding, 1, Loader::kMaxWidth));
      SLM_TRY(loader.refuse_variant("pooling_type", 1, "rows that become one otherwise than by their mean"));
    }
    if (!c.embeds && (c.n_per_layer == 0 || loader.has(0, "ffn_gate_inp")))
      return fail(SLM_ERR_UNSUPPORTED, "the file is one of the larger Gemma 4 models (12B, 26B-A4B, 31B), which need "
                                       "more memory than a page has; take Gemma 4 E2B or E4B");
    SLM_TRY(loader.shape(s, true));
    SLM_TRY(loader.between("embedding_length_per_layer_input", c.n_per_layer, 32, Loader::kMaxWidth / s.n_layer));
    if (c.n_per_layer % 32 != 0)
      return fail(SLM_ERR_UNSUPPORTED, "embeddings of ", c.n_per_layer,
                  " columns for each layer are not supported; they should be a multiple of 32");
    SLM_TRY(loader.number("attention.layer_norm_rms_epsilon", c.norm_epsilon, 1e-6f));
    SLM_TRY(loader.number("final_logit_softcapping", c.final_softcap, 0.f));
    SLM_TRY(loader.number("attention.sliding_window", c.sliding_window));
    SLM_TRY(loader.between("attention.sliding_window", c.sliding_window, 1, 1u << 30));
    SLM_TRY(loader.number("attention.key_length_swa", c.local_head_dim));
    SLM_TRY(loader.between("attention.key_length_swa", c.local_head_dim, 8, s.rope_dims));
    if (c.local_head_dim % 8 != 0)
      return fail(SLM_ERR_UNSUPPORTED, "attention heads of ", c.local_head_dim,
                  " columns are not supported; they should be a multiple of 8");
    SLM_TRY(loader.number("attention.shared_kv_layers", c.n_shared, 0));
    SLM_TRY(loader.between("attention.shared_kv_layers", c.n_shared, 0, c.embeds ? 0 : s.n_layer - 1));
    // It says which columns of a head are not rotated.
    if (!c.embeds && !loader.has("rope_freqs.weight"))
      return fail(
          SLM_ERR_BAD_FILE,
          "the file has no tensor 'rope_freqs.weight', which every gemma4 model needs; convert the model again");
    SLM_TRY(loader.rope(w.global_rope, true, s.rope_dims, 1000000.f));
    float base;
    SLM_TRY(loader.number("rope.freq_base_swa", base, 10000.f));
    return loader.plain_rope(w.local_rope, true, c.local_head_dim, base);
  }

  Status load_layer(Loader &loader, uint32_t i) {
    Layer &l = w.layers[i];
    const ModelShape &s = l.shape;
    const int at = static_cast<int>(i);
    SLM_TRY(l.source == i ? l.attn.load(loader, i, s, true) : l.attn.load_queries(loader, i, s));
    SLM_TRY(l.ffn.load(loader, i, s));
    SLM_TRY(loader.vector(at, "post_attention_norm", s.n_embd, l.attn_post_norm));
    SLM_TRY(loader.vector(at, "post_ffw_norm", s.n_embd, l.ffn_post_norm));
    SLM_TRY(loader.vector(at, "layer_output_scale", 1, l.scale));
    SLM_TRY(loader.linear(at, "inp_gate", c.n_per_layer, s.n_embd, l.per_layer_gate));
    SLM_TRY(loader.linear(at, "proj", s.n_embd, c.n_per_layer, l.per_layer_up));
    return loader.vector(at, "post_norm", s.n_embd, l.per_layer_norm);
  }

  /// Sizes of the layers, and whose keys and values each attends to.
  Status lay_out(Loader &loader) {
    const uint32_t n_layer = c.shape.n_layer;
    std::vector<uint32_t> local, n_ff, n_head_kv;
    SLM_TRY(loader.numbers("attention.sliding_window_pattern", n_layer, local));
    SLM_TRY(loader.numbers("feed_forward_length", n_layer, n_ff));
    SLM_TRY(loader.numbers("attention.head_count_kv", n_layer, n_head_kv));
    w.layers.resize(n_layer);
    for (uint32_t i = 0; i < n_layer; i++) {
      Layer &l = w.layers[i];
      l.is_local = local[i] != 0;
      l.shape = c.shape;
      l.shape.n_ff = n_ff[i], l.shape.n_head_kv = n_head_kv[i];
      if (l.is_local) l.shape.head_dim = c.local_head_dim;
      SLM_TRY(loader.between("feed_forward_length", n_ff[i], 1, Loader::kMaxWidth));
      SLM_TRY(loader.between("attention.head_count_kv", n_head_kv[i], 1, c.shape.n_head));
      if (c.shape.n_head % n_head_kv[i] != 0)
        return fail(SLM_ERR_BAD_FILE, "'", loader.architecture(), ".attention.head_count' (", c.shape.n_head,
                    ") should be a multiple of head_count_kv (", n_head_kv[i], ")");
      l.source = i;
      if (i < c.first_shared()) continue;
      while (l.source > 0 && (l.source >= c.first_shared() || w.layers[l.source].is_local != l.is_local))
        l.source--;
      const Layer &source = w.layers[l.source];
      if (source.is_local != l.is_local || source.shape.n_head_kv != l.shape.n_head_kv)
        return fail(SLM_ERR_BAD_FILE, "layer ", i, " attends to keys and values of a layer before ", c.first_shared(),
                    ", but none of them is of its kind; convert the model again");
    }
    return SLM_OK;
  }

  Config c;
  Weights w;
};

} // namespace

std::unique_ptr<Family> new_gemma4() { return std::make_unique<Gemma4>(false); }
std::unique_ptr<Family> new_gemma_embedding2() { return std::make_unique<Gemma4>(true); }

} // namespace slm
