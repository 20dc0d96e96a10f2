// qwen35.cpp: Qwen 3.5 (Qwen Team 2026): three layers of Gated DeltaNet (Yang et
// al. 2025), a linear attention whose state is a matrix for each head, to one of
// gated attention with normalized and partly rotated queries and keys; each is
// followed by SwiGLU. Which layers recur, their tensors say. RMSNorm's +1 is in
// the weights of a GGUF, whose heads of values lie so that head h has the keys of
// head h mod their number. For text the three positions of its rotary embedding
// are one. Layers that guess more tokens ahead (nextn) are left out.
#include <algorithm>

#include "block.h"

namespace slm {
namespace {

struct Config {
  ModelShape shape;
  float norm_epsilon;
  uint32_t n_head_k, n_head_v, head_dim; // of the recurrent layers
  uint32_t n_taps;

  uint32_t n_values() const { return n_head_v * head_dim; }
  uint32_t n_inputs() const { return 2 * n_head_k * head_dim + n_values(); }
};

/// A convolution of queries, keys and values, and the delta rule behind it.
struct RecurrentWeights {
  Linear qkv;              // (n_inputs, n_embd)
  Linear gate;             // (n_values, n_embd)
  Linear strength, decay;  // (n_head_v, n_embd)
  Convolution convolution; // n_inputs channels
  float *decay_bias;       // (n_head_v)
  float *rate;             // (n_head_v)
  float *norm;             // (head_dim)
  Linear out;              // (n_embd, n_values)
};

struct Layer {
  bool recurs;
  AttentionWeights attn; // of a recurrent layer, its norm alone; q has each head's gate behind its query
  RecurrentWeights rec;
  FeedForwardWeights ffn;
};

struct Weights {
  Ends ends;
  std::vector<Layer> layers;
  Rope rope;
};

struct Qwen35State : BlockState {
  Rows q_and_gate, q_gate; // 2 * n_head * head_dim, n_head * head_dim
  Rows qkv, convolved;     // n_inputs
  Rows gate, retrieved;    // n_values
  Rows strength, decay;    // n_head_v

  Qwen35State(Arena &arena, const Config &c) : BlockState(arena, c.shape) {
    const uint32_t n_q = c.shape.n_head * c.shape.head_dim;
    q_and_gate = arena.rows(2 * n_q), q_gate = arena.rows(n_q);
    qkv = arena.rows(c.n_inputs()), convolved = arena.rows(c.n_inputs());
    gate = arena.rows(c.n_values()), retrieved = arena.rows(c.n_values());
    strength = arena.rows(c.n_head_v), decay = arena.rows(c.n_head_v);
  }
};

class Qwen35 : public Family {
public:
  Status load(Loader &loader) override {
    ModelShape &s = c.shape;
    SLM_TRY(loader.shape(s));
    uint32_t n_ahead, n_values;
    SLM_TRY(loader.number("nextn_predict_layers", n_ahead, 0));
    SLM_TRY(loader.leave_out_last(n_ahead, s));
    SLM_TRY(loader.number("attention.layer_norm_rms_epsilon", c.norm_epsilon, 1e-6f));
    SLM_TRY(loader.number("ssm.conv_kernel", c.n_taps));
    SLM_TRY(loader.number("ssm.state_size", c.head_dim));
    SLM_TRY(loader.number("ssm.group_count", c.n_head_k));
    SLM_TRY(loader.number("ssm.time_step_rank", c.n_head_v));
    SLM_TRY(loader.number("ssm.inner_size", n_values));
    SLM_TRY(loader.between("ssm.conv_kernel", c.n_taps, 2, Convolution::kMaxTaps));
    SLM_TRY(loader.between("ssm.state_size", c.head_dim, 4, DeltaRule::kMaxHead));
    SLM_TRY(loader.between("ssm.time_step_rank", c.n_head_v, 1, kMaxHeads));
    SLM_TRY(loader.between("ssm.group_count", c.n_head_k, 1, c.n_head_v));
    if (c.head_dim % 4 != 0 || n_values != c.n_values() || c.n_head_v % c.n_head_k != 0)
      return fail(SLM_ERR_UNSUPPORTED, "a delta rule of ", c.n_head_k, " key and ", c.n_head_v, " value heads, ",
                  c.head_dim, " keys and ", n_values,
                  " values wide, is not supported; heads should be multiples of "
                  "4 wide, keys and values alike, and those of values a multiple of those of keys");
    s.n_recurrent = std::max(c.n_inputs(), 2 * s.n_head * s.head_dim);
    SLM_TRY(loader.rope(w.rope, true, s.rope_dims, 10000000));
    w.layers.resize(s.n_layer);
    for (uint32_t i = 0; i < s.n_layer; i++) {
      Layer &l = w.layers[i];
      const int at = static_cast<int>(i);
      l.recurs = loader.has(at, "ssm_out");
      SLM_TRY(l.recurs ? load(loader, at, l) : l.attn.load(loader, i, s, true, 2));
      SLM_TRY(l.ffn.load(loader, i, s, "post_attention_norm"));
    }
    return w.ends.load(loader, s);
  }

  const ModelShape &shape() const override { return c.shape; }
  uint32_t window(uint32_t) const override { return 0; }
  RecurrentLayer recurrent(uint32_t layer) const override {
    if (!w.layers[layer].recurs) return {};
    return {.n_inputs = (c.n_taps - 1) * c.n_inputs(), .n_state = c.n_values() * c.head_dim};
  }

  std::unique_ptr<State> new_state(Arena &arena) const override { return std::make_unique<Qwen35State>(arena, c); }

  void forward(Ops &op, State &state, const Output &output) const override {
    Qwen35State &s = static_cast<Qwen35State &>(state);
    const ModelShape &m = c.shape;
    AttentionSpec attention{m.n_head, m.n_head_kv, m.head_dim, &w.rope};
    attention.scale = inverse_sqrt(m.head_dim);
    attention.norm_epsilon = c.norm_epsilon;

    op.rotations({&w.rope});
    op.embed(w.ends.token_embd.weight, 1, s.x);
    for (uint32_t i = layers.first; i < layers.end; i++) {
      const Layer &l = w.layers[i];
      const Input x{s.x, l.attn.norm, c.norm_epsilon};
      if (l.recurs) {
        const DeltaRule rule{c.n_head_k, c.n_head_v,       c.head_dim, s.convolved, s.strength,    s.decay,
                             s.gate,     l.rec.decay_bias, l.rec.rate, l.rec.norm,  c.norm_epsilon};
        op.matmul(x, {{l.rec.qkv, s.qkv}, {l.rec.gate, s.gate}});
        op.matmul(x, {{l.rec.strength, s.strength}, {l.rec.decay, s.decay}});
        op.convolve(s.qkv, l.rec.convolution, s.recurrent[i], s.convolved);
        op.delta_rule(rule, s.recurrent[i], s.retrieved);
        op.matmul_add({s.retrieved}, l.rec.out, s.x);
      } else {
        op.matmul(x, {{l.attn.q, s.q_and_gate}, {l.attn.k, s.k}, {l.attn.v, s.v}});
        op.part_heads(s.q_and_gate, m.head_dim, s.q, s.q_gate);
        attention.q_norm = l.attn.q_norm, attention.k_norm = l.attn.k_norm;
        op.attention(s.q, s.k, s.v, attention, s.cache[i], s.attended);
        op.gate(s.q_gate, s.attended);
        op.mark(Mark::Heads, i, s.attended);
        op.matmul_add({s.attended}, l.attn.output, s.x);
      }
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
  static constexpr uint32_t kMaxHeads = 1024;

  Status load(Loader &loader, int at, Layer &l) const {
    const uint32_t n_embd = c.shape.n_embd;
    RecurrentWeights &r = l.rec;
    SLM_TRY(loader.vector(at, "attn_norm", n_embd, l.attn.norm));
    SLM_TRY(loader.linear(at, "attn_qkv", c.n_inputs(), n_embd, r.qkv));
    SLM_TRY(loader.linear(at, "attn_gate", c.n_values(), n_embd, r.gate));
    SLM_TRY(loader.linear(at, "ssm_beta", c.n_head_v, n_embd, r.strength));
    SLM_TRY(loader.linear(at, "ssm_alpha", c.n_head_v, n_embd, r.decay));
    SLM_TRY(loader.convolution(at, "ssm_conv1d", c.n_inputs(), c.n_taps, r.convolution));
    r.convolution.around = Around::Silu;
    SLM_TRY(loader.bare_vector(at, "ssm_dt.bias", c.n_head_v, r.decay_bias));
    SLM_TRY(loader.bare_vector(at, "ssm_a", c.n_head_v, r.rate));
    SLM_TRY(loader.vector(at, "ssm_norm", c.head_dim, r.norm));
    return loader.linear(at, "ssm_out", n_embd, c.n_values(), r.out);
  }

  Config c;
  Weights w;
};

} // namespace

std::unique_ptr<Family> new_qwen35() { return std::make_unique<Qwen35>(); }

} // namespace slm
