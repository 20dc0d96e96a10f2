// gemma3n.cpp: Gemma 3n E2B and E4B (Gemma Team 2025), their text. Four streams go
// through the layers, of which each computes with the first, having mixed all, and
// corrects all by what came out (AltUp, Baykal et al. 2023). A product of low rank
// goes beside attention (Laurel, Menghani et al. 2024); in the first layers only
// the largest gates of the feed-forward network let anything through. Embeddings
// for each layer and layers without keys and values of their own are Gemma 4's.
#include <cmath>

#include "block.h"

namespace slm {
namespace {

constexpr uint32_t kOthers = Ops::kStreams - 1;

struct Config {
  ModelShape shape;
  float norm_epsilon;
  uint32_t sliding_window;
  uint32_t n_per_layer; // columns of a layer's embeddings
  uint32_t n_shared;    // last layers, which attend to others' keys and values
  uint32_t laurel_rank;
  float final_softcap; // 0 is off

  uint32_t first_shared() const { return shape.n_layer - n_shared; }
  uint32_t per_layer_width() const { return shape.n_layer * n_per_layer; }
};

struct Layer {
  bool is_local;
  uint32_t source; // the layer whose keys and values it attends to
  uint32_t n_ff;
  float cut; // deviations above the mean up to which a gate is closed; -infinity or 0: none is
  AttentionWeights attn;
  float *attn_post_norm; // (n_embd)
  Linear laurel_left;    // (laurel_rank, n_embd)
  Linear laurel_right;   // (n_embd, laurel_rank)
  float *laurel_norm;    // (n_embd)
  FeedForwardWeights ffn;
  float *ffn_post_norm;  // (n_embd)
  float *router_norm;    // (n_embd)
  Linear router;         // (streams, n_embd)
  Linear predict;        // (streams * streams, streams)
  Linear correct;        // (streams, streams)
  float *correct_scale;  // (n_embd)
  Linear per_layer_gate; // (n_per_layer, n_embd)
  Linear per_layer_up;   // (n_embd, n_per_layer)
  float *per_layer_norm; // (n_embd)
};

struct Weights {
  Ends ends;
  std::vector<Layer> layers;
  Rope global_rope, local_rope;
  RowTable per_layer_embd;                   // (n_vocab, n_layer * n_per_layer)
  Linear per_layer_projection;               // (n_layer * n_per_layer, n_embd)
  float *per_layer_norm;                     // (n_per_layer)
  Linear embed, unembed;                     // of all other streams
  Linear embeds[kOthers], unembeds[kOthers]; // (n_embd, n_embd) each
};

struct Gemma3nState : BlockState {
  Ops::Streams streams; // n_embd each; the first is x
  Rows branch, beside;  // n_embd
  Rows active;          // n_embd
  Rows low;             // laurel_rank
  Rows up;              // n_ff
  Rows routed;          // streams
  Rows predictions;     // streams * streams
  Rows corrections;     // streams
  Rows per_layer;       // n_layer * n_per_layer
  Rows projected;       // the same
  Rows gated_one;       // n_per_layer

  Gemma3nState(Arena &arena, const Config &c) : BlockState(arena, c.shape) {
    const uint32_t n = c.shape.n_embd;
    streams[0] = x;
    for (uint32_t i = 1; i < Ops::kStreams; i++)
      streams[i] = arena.rows(n);
    branch = arena.rows(n), beside = arena.rows(n), active = arena.rows(n);
    low = arena.rows(c.laurel_rank), up = arena.rows(c.shape.n_ff);
    routed = arena.rows(Ops::kStreams), corrections = arena.rows(Ops::kStreams);
    predictions = arena.rows(Ops::kStreams * Ops::kStreams);
    per_layer = arena.rows(c.per_layer_width()), projected = arena.rows(c.per_layer_width());
    gated_one = arena.rows(c.n_per_layer);
  }
};

class Gemma3n : public Family {
public:
  Status load(Loader &loader) override {
    SLM_TRY(read_config(loader));
    SLM_TRY(lay_out(loader));
    const ModelShape &s = c.shape;
    const uint32_t width = c.per_layer_width(), n = s.n_embd;
    for (uint32_t i = 0; i < s.n_layer; i++)
      SLM_TRY(load_layer(loader, i));
    SLM_TRY(loader.row_table("per_layer_token_embd", s.n_vocab, width, w.per_layer_embd));
    SLM_TRY(loader.linear(-1, "per_layer_model_proj", width, n, w.per_layer_projection));
    SLM_TRY(loader.vector(-1, "per_layer_proj_norm", c.n_per_layer, w.per_layer_norm));
    SLM_TRY(loader.stacked(-1, "altup_proj", n, w.embed, {{w.embeds[0], n}, {w.embeds[1], n}, {w.embeds[2], n}}, true));
    SLM_TRY(loader.stacked(-1, "altup_unembd_proj", n, w.unembed,
                           {{w.unembeds[0], n}, {w.unembeds[1], n}, {w.unembeds[2], n}}, true));
    return w.ends.load(loader, s);
  }

  const ModelShape &shape() const override { return c.shape; }
  uint32_t window(uint32_t layer) const override { return w.layers[layer].is_local ? c.sliding_window : 0; }
  KvShape kv(uint32_t layer) const override {
    return w.layers[layer].source == layer ? KvShape{c.shape.n_head_kv, c.shape.head_dim} : KvShape{};
  }
  bool looks_up() const override { return true; }

  std::unique_ptr<State> new_state(Arena &arena) const override { return std::make_unique<Gemma3nState>(arena, c); }

  void forward(Ops &op, State &state, const Output &output) const override {
    Gemma3nState &s = static_cast<Gemma3nState &>(state);
    Ops::Streams x = s.streams; // of the tokens that are left
    Rows per_layer = s.per_layer;

    op.rotations({&w.global_rope, &w.local_rope});
    op.embed(w.ends.token_embd.weight, std::sqrt(float(c.shape.n_embd)), x[0]);
    embed_per_layer(op, s);
    for (uint32_t i = 0; i < kOthers; i++) {
      op.matmul({x[0]}, {{w.embeds[i], x[1 + i]}});
      op.match(x[0], x[1 + i]);
    }
    for (uint32_t i = layers.first; i < layers.end; i++) {
      const Layer &l = w.layers[i];
      if (i == c.first_shared() && op.keep_last(output.n, {&x[0], &x[1], &x[2], &x[3], &per_layer}) == 0) return;
      route(op, l, s, x[0]);
      op.matmul({s.routed}, {{l.predict, s.predictions}});
      op.mix(s.predictions, x);
      op.copy(x[0], s.active);
      attend(op, i, s, x[0]);
      feed_forward(op, l, s);
      op.add_rmsnorm(s.branch, l.ffn_post_norm, c.norm_epsilon, s.active);
      route(op, l, s, s.active);
      op.matmul({s.routed}, {{l.correct, s.corrections}});
      op.correct(s.corrections, l.correct_scale, s.active, x);
      op.gate({s.active}, l.per_layer_gate, Glu::Gelu, per_layer, i * c.n_per_layer, s.gated_one);
      op.matmul({s.gated_one}, {{l.per_layer_up, s.branch}});
      // Twice the epsilon: see embed_per_layer.
      op.rmsnorm({s.branch, l.per_layer_norm, 2 * c.norm_epsilon}, s.beside);
      for (uint32_t other = 1; other < Ops::kStreams; other++)
        op.accumulate(s.beside, x[other]);
    }
    // Their sum in place of their mean, which the norm behind it takes into its epsilon.
    op.copy(x[0], s.active);
    for (uint32_t i = 0; i < kOthers; i++) {
      op.matmul({x[1 + i]}, {{w.unembeds[i], s.branch}});
      op.match(x[0], s.branch);
      op.accumulate(s.branch, s.active);
    }
    head(op, s, s.active, output);
  }

  bool has_residual() const override { return false; }

  void head(Ops &op, State &, Rows x, const Output &output) const override {
    const float epsilon = c.norm_epsilon * float(Ops::kStreams * Ops::kStreams);
    op.logits({x, w.ends.output_norm, epsilon}, *w.ends.head, c.final_softcap, output.n, output.logits);
  }

private:
  /// Each layer's embeddings; see gemma4.cpp.
  void embed_per_layer(Ops &op, Gemma3nState &s) const {
    op.embed(w.per_layer_embd, std::sqrt(float(c.n_per_layer)), s.per_layer);
    op.matmul({s.x}, {{w.per_layer_projection, s.projected}});
    const float epsilon = c.norm_epsilon * float(c.shape.n_embd);
    op.add_rmsnorm_slices(s.projected, w.per_layer_norm, c.n_per_layer, epsilon, s.per_layer);
  }

  /// How much of each stream x asks for.
  void route(Ops &op, const Layer &l, Gemma3nState &s, Rows x) const {
    op.matmul_tanh({x, l.router_norm, c.norm_epsilon}, l.router, 1 / float(c.shape.n_embd), s.routed);
  }

  /// active = (active + attention + Laurel) / sqrt(2), both of x, which active is a copy of.
  void attend(Ops &op, uint32_t layer, Gemma3nState &s, Rows x) const {
    const Layer &l = w.layers[layer];
    const Input in{x, l.attn.norm, c.norm_epsilon};
    const bool own = l.source == layer;
    if (own)
      op.matmul(in, {{l.attn.q, s.q}, {l.attn.k, s.k}, {l.attn.v, s.v}});
    else
      op.matmul(in, {{l.attn.q, s.q}});
    op.matmul(in, {{l.laurel_left, s.low}});
    op.matmul({s.low}, {{l.laurel_right, s.beside}});
    AttentionSpec spec{c.shape.n_head, c.shape.n_head_kv, c.shape.head_dim,
                       l.is_local ? &w.local_rope : &w.global_rope};
    spec.q_norm = l.attn.q_norm, spec.k_norm = l.attn.k_norm;
    spec.v_norm = true;
    spec.norm_epsilon = c.norm_epsilon;
    spec.window = window(layer);
    op.attention(s.q, own ? s.k : Rows{}, own ? s.v : Rows{}, spec, s.cache[l.source], s.attended);
    op.matmul({s.attended}, {{l.attn.output, s.branch}});
    op.add_rmsnorm(s.branch, l.attn_post_norm, c.norm_epsilon, s.active);
    op.rmsnorm(in, s.branch);
    op.accumulate(s.branch, s.active);
    op.add_rmsnorm(s.beside, l.laurel_norm, c.norm_epsilon, s.active, std::sqrt(0.5f));
  }

  void feed_forward(Ops &op, const Layer &l, Gemma3nState &s) const {
    const Input in{s.active, l.ffn.norm, c.norm_epsilon};
    const Rows gated{s.gated.data, l.n_ff}, up{s.up.data, l.n_ff};
    if (!(l.cut > 0)) {
      op.glu(in, l.ffn.gate, l.ffn.up, Glu::Gelu, gated);
    } else {
      op.matmul(in, {{l.ffn.gate, gated}, {l.ffn.up, up}});
      op.sparse_gelu(up, l.cut, gated);
    }
    op.matmul({gated}, {{l.ffn.down, s.branch}});
  }

  Status read_config(Loader &loader) {
    ModelShape &s = c.shape;
    SLM_TRY(loader.shape(s, true));
    SLM_TRY(loader.refuse_variant("altup.num_inputs", Ops::kStreams, "another number of streams"));
    SLM_TRY(loader.refuse_variant("altup.active_idx", 0, "another stream that computes"));
    SLM_TRY(loader.number("embedding_length_per_layer_input", c.n_per_layer));
    SLM_TRY(loader.between("embedding_length_per_layer_input", c.n_per_layer, 32, Loader::kMaxWidth / s.n_layer));
    if (c.n_per_layer % 32 != 0 || s.n_embd % 32 != 0)
      return fail(SLM_ERR_UNSUPPORTED, "embeddings of ", s.n_embd, " columns and of ", c.n_per_layer,
                  " for each layer are not supported; they should be multiples of 32");
    SLM_TRY(loader.number("attention.layer_norm_rms_epsilon", c.norm_epsilon, 1e-6f));
    SLM_TRY(loader.number("final_logit_softcapping", c.final_softcap, 30.f));
    SLM_TRY(loader.number("attention.sliding_window", c.sliding_window));
    SLM_TRY(loader.between("attention.sliding_window", c.sliding_window, 1, 1u << 30));
    SLM_TRY(loader.number("attention.shared_kv_layers", c.n_shared, 0));
    SLM_TRY(loader.between("attention.shared_kv_layers", c.n_shared, 0, s.n_layer - 1));
    c.laurel_rank = static_cast<uint32_t>(loader.rows(0, "laurel_l"));
    SLM_TRY(loader.between("laurel_l's rows", c.laurel_rank, 1, Loader::kMaxWidth));
    SLM_TRY(loader.rope(w.global_rope, true, s.rope_dims, 1000000.f));
    float base;
    SLM_TRY(loader.number("rope.freq_base_swa", base, 10000.f));
    return loader.plain_rope(w.local_rope, true, s.rope_dims, base);
  }

  Status load_layer(Loader &loader, uint32_t i) {
    Layer &l = w.layers[i];
    ModelShape s = c.shape;
    s.n_ff = l.n_ff;
    const int at = static_cast<int>(i);
    constexpr uint32_t n = Ops::kStreams;
    SLM_TRY(l.source == i ? l.attn.load(loader, i, s, true) : l.attn.load_queries(loader, i, s));
    SLM_TRY(l.ffn.load(loader, i, s));
    SLM_TRY(loader.vector(at, "post_attention_norm", s.n_embd, l.attn_post_norm));
    SLM_TRY(loader.linear(at, "laurel_l", c.laurel_rank, s.n_embd, l.laurel_left));
    SLM_TRY(loader.linear(at, "laurel_r", s.n_embd, c.laurel_rank, l.laurel_right));
    SLM_TRY(loader.vector(at, "laurel_post_norm", s.n_embd, l.laurel_norm));
    SLM_TRY(loader.vector(at, "post_ffw_norm", s.n_embd, l.ffn_post_norm));
    SLM_TRY(loader.vector(at, "altup_router_norm", s.n_embd, l.router_norm));
    SLM_TRY(loader.linear(at, "altup_router", n, s.n_embd, l.router));
    SLM_TRY(loader.linear(at, "altup_predict_coef", n * n, n, l.predict));
    SLM_TRY(loader.linear(at, "altup_correct_coef", n, n, l.correct));
    SLM_TRY(loader.vector(at, "altup_correct_scale", s.n_embd, l.correct_scale));
    SLM_TRY(loader.linear(at, "inp_gate", c.n_per_layer, s.n_embd, l.per_layer_gate));
    SLM_TRY(loader.linear(at, "proj", s.n_embd, c.n_per_layer, l.per_layer_up));
    return loader.vector(at, "post_norm", s.n_embd, l.per_layer_norm);
  }

  /// Sizes of the layers, and whose keys and values each attends to.
  Status lay_out(Loader &loader) {
    const uint32_t n_layer = c.shape.n_layer;
    std::vector<uint32_t> local, n_ff;
    std::vector<float> cuts(n_layer);
    SLM_TRY(loader.numbers("attention.sliding_window_pattern", n_layer, local));
    SLM_TRY(loader.numbers("feed_forward_length", n_layer, n_ff));
    SLM_TRY(loader.numbers("activation_sparsity_scale", cuts, true));
    w.layers.resize(n_layer);
    for (uint32_t i = 0; i < n_layer; i++) {
      Layer &l = w.layers[i];
      l.is_local = local[i] != 0;
      l.n_ff = n_ff[i];
      l.cut = cuts[i];
      SLM_TRY(loader.between("feed_forward_length", n_ff[i], 1, Loader::kMaxWidth));
      l.source = i;
      if (i < c.first_shared()) continue;
      while (l.source > 0 && (l.source >= c.first_shared() || w.layers[l.source].is_local != l.is_local))
        l.source--;
      if (w.layers[l.source].is_local != l.is_local)
        return fail(SLM_ERR_BAD_FILE, "layer ", i, " attends to keys and values of a layer before ", c.first_shared(),
                    ", but none of them is of its kind; convert the model again");
    }
    return SLM_OK;
  }

  Config c;
  Weights w;
};

} // namespace

std::unique_ptr<Family> new_gemma3n() { return std::make_unique<Gemma3n>(); }

} // namespace slm
