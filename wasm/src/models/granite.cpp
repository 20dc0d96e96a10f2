// granite.cpp: Granite (IBM 2024, 2025): Llama's layers between four factors, of the
// embeddings, the scores of attention, what a block adds to the stream, and the
// logits. Granite 4's dense models may know no positions at all; its hybrids
// (granitehybrid) have the state space of Mamba-2 (Dao and Gu 2024) in place of
// attention in most layers, which their tensors say.
#include "block.h"

namespace slm {
namespace {

struct Config {
  ModelShape shape;
  float norm_epsilon;
  float embedding_scale, attention_scale, residual_scale;
  float logit_scale; // divides
  bool rotates;
  uint32_t n_taps;
  StateSpace space{}; // its sizes, the same in all layers that have one

  bool is_hybrid() const { return space.n_head != 0; }
};

/// A convolution of what one product makes beside gates and steps, and the state space behind it.
struct SpaceWeights {
  Linear in;                      // (n_in, n_embd): gates, what is convolved, steps
  Convolution convolution;        // n_inputs channels
  float *step_bias, *rate, *skip; // (n_head)
  float *norm;                    // (n_group, width / n_group)
  Linear out;                     // (n_embd, width)
};

struct Layer {
  bool recurs;
  AttentionWeights attn; // of a recurrent layer, its norm alone
  SpaceWeights rec;
  FeedForwardWeights ffn;
};

struct Weights {
  Ends ends;
  std::vector<Layer> layers;
  Rope rope;
};

struct GraniteState : BlockState {
  Rows in;        // n_in
  Rows convolved; // n_inputs
  Rows y;         // width
  Rows decay;     // n_head

  GraniteState(Arena &arena, const Config &c) : BlockState(arena, c.shape) {
    if (!c.is_hybrid()) return;
    in = arena.rows(c.space.n_in()), convolved = arena.rows(c.space.n_inputs());
    y = arena.rows(c.space.width()), decay = arena.rows(c.space.n_head);
  }
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
    if (!(c.logit_scale > 0))
      return fail(SLM_ERR_BAD_FILE, "'", loader.architecture(), ".logit_scale' should be above zero");
    SLM_TRY(loader.refuse_variant("expert_count", 0, "a mixture of experts"));
    // llama.cpp says by this key whether there are rotary positions.
    SLM_TRY(loader.flag("rope.scaling.finetuned", c.rotates, true));
    SLM_TRY(loader.rope(w.rope, false, s.rope_dims, 10000));
    if (loader.architecture() == "granitehybrid") SLM_TRY(load_sizes(loader));
    w.layers.resize(s.n_layer);
    for (uint32_t i = 0; i < s.n_layer; i++) {
      Layer &l = w.layers[i];
      const int at = static_cast<int>(i);
      l.recurs = c.is_hybrid() && loader.has(at, "ssm_in");
      SLM_TRY(l.recurs ? load(loader, at, l) : l.attn.load(loader, i, s, false));
      SLM_TRY(l.ffn.load(loader, i, s));
    }
    return w.ends.load(loader, s);
  }

  const ModelShape &shape() const override { return c.shape; }
  uint32_t window(uint32_t) const override { return 0; }
  RecurrentLayer recurrent(uint32_t layer) const override {
    if (!w.layers[layer].recurs) return {};
    return {.n_inputs = (c.n_taps - 1) * c.space.n_inputs(), .n_state = c.space.width() * c.space.n_state};
  }

  std::unique_ptr<State> new_state(Arena &arena) const override { return std::make_unique<GraniteState>(arena, c); }

  void forward(Ops &op, State &state, const Output &output) const override {
    GraniteState &s = static_cast<GraniteState &>(state);
    const ModelShape &m = c.shape;
    AttentionSpec attention{m.n_head, m.n_head_kv, m.head_dim, c.rotates ? &w.rope : nullptr};
    attention.scale = c.attention_scale;

    op.rotations({&w.rope});
    op.embed(w.ends.token_embd.weight, c.embedding_scale, s.x);
    for (uint32_t i = layers.first; i < layers.end; i++) {
      const Layer &l = w.layers[i];
      const Input x{s.x, l.attn.norm, c.norm_epsilon};
      if (l.recurs) {
        StateSpace space = c.space;
        space.in = s.in, space.convolved = s.convolved, space.decay = s.decay;
        space.step_bias = l.rec.step_bias, space.rate = l.rec.rate, space.skip = l.rec.skip, space.norm = l.rec.norm;
        op.matmul(x, {{l.rec.in, s.in}});
        op.convolve(s.in, l.rec.convolution, s.recurrent[i], s.convolved);
        op.state_space(space, s.recurrent[i], s.y);
        op.matmul_add({s.y}, l.rec.out, s.x, c.residual_scale);
      } else {
        op.matmul(x, {{l.attn.q, s.q}, {l.attn.k, s.k}, {l.attn.v, s.v}});
        op.attention(s.q, s.k, s.v, attention, s.cache[i], s.attended);
        op.mark(Mark::Heads, i, s.attended);
        op.matmul_add({s.attended}, l.attn.output, s.x, c.residual_scale);
      }
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
  static constexpr uint32_t kMaxHeads = 1024;

  Status load_sizes(Loader &loader) {
    StateSpace &space = c.space;
    uint32_t width;
    SLM_TRY(loader.number("ssm.conv_kernel", c.n_taps));
    SLM_TRY(loader.number("ssm.state_size", space.n_state));
    SLM_TRY(loader.number("ssm.group_count", space.n_group));
    SLM_TRY(loader.number("ssm.time_step_rank", space.n_head));
    SLM_TRY(loader.number("ssm.inner_size", width));
    SLM_TRY(loader.between("ssm.conv_kernel", c.n_taps, 2, Convolution::kMaxTaps));
    SLM_TRY(loader.between("ssm.state_size", space.n_state, 4, StateSpace::kMaxState));
    SLM_TRY(loader.between("ssm.time_step_rank", space.n_head, 1, kMaxHeads));
    SLM_TRY(loader.between("ssm.group_count", space.n_group, 1, space.n_head));
    SLM_TRY(loader.between("ssm.inner_size", width, 4, Loader::kMaxWidth));
    space.head_dim = width / space.n_head;
    space.norm_epsilon = c.norm_epsilon;
    if (space.head_dim % 4 != 0 || width != space.width() || space.n_state % 4 != 0 ||
        space.n_head % space.n_group != 0)
      return fail(
          SLM_ERR_UNSUPPORTED, "a state space of ", space.n_head, " heads in ", space.n_group, " groups, ", width,
          " numbers wide with states of ", space.n_state,
          ", is not supported; heads should be multiples of 4 wide, as states are, and groups of as many heads");
    c.shape.n_recurrent = space.n_in();
    return SLM_OK;
  }

  Status load(Loader &loader, int at, Layer &l) const {
    const uint32_t n_embd = c.shape.n_embd, n_head = c.space.n_head, width = c.space.width();
    const uint32_t n_inputs = c.space.n_inputs(), n_group = c.space.n_group;
    SpaceWeights &r = l.rec;
    SLM_TRY(loader.vector(at, "attn_norm", n_embd, l.attn.norm));
    SLM_TRY(loader.linear(at, "ssm_in", c.space.n_in(), n_embd, r.in));
    SLM_TRY(loader.convolution(at, "ssm_conv1d", n_inputs, c.n_taps, r.convolution));
    r.convolution.around = Around::Silu;
    r.convolution.first = width;
    SLM_TRY(loader.bare_vector(at, "ssm_dt.bias", n_head, r.step_bias));
    SLM_TRY(loader.bare_column(at, "ssm_a", n_head, r.rate));
    SLM_TRY(loader.bare_column(at, "ssm_d", n_head, r.skip));
    SLM_TRY(loader.table(at, "ssm_norm", n_group, width / n_group, r.norm));
    return loader.linear(at, "ssm_out", n_embd, width, r.out);
  }

  Config c;
  Weights w;
};

} // namespace

std::unique_ptr<Family> new_granite() { return std::make_unique<Granite>(); }

} // namespace slm
