// kinds.cpp: see running.h. What a model asks of a device is found by running its
// forward() over operations that do nothing.
#include <algorithm>

#include "running.h"

namespace slm {
namespace {

class Noting final : public Ops {
public:
  Kinds found;

  void rotations(std::initializer_list<const Rope *>, uint32_t) override {}
  void embed(const Matrix &, float, Rows) override {}
  void embed(const RowTable &, float, Rows) override {}
  void add_embedding(const Matrix &, Index, Rows, uint32_t) override {}
  void layernorm(const LayerNorm &, Rows x, Rows) override {
    found.encoder.layernorm = found.sight.layernorm = true;
    found.sight.width = x.width;
  }
  void gelu(Rows, GeluForm form) override { (form == GeluForm::Erf ? found.encoder.gelu : found.sight.gelu) = true; }
  void rmsnorm(const Input &, Rows, uint32_t) override {}
  void add_rmsnorm(Rows, const float *, float, Rows, float) override {}
  void add_rmsnorm_slices(Rows, const float *, uint32_t, float, Rows) override {}
  void matmul(const Input &, std::initializer_list<Product> products) override {
    // Neighbours of one type are one dispatch; see GpuOps::multiply.
    for (const Product *p = products.begin(); p != products.end();) {
      const Matrix &w = p->linear.weight;
      uint32_t units = 0;
      for (; p != products.end() && p->linear.weight.type == w.type; p++)
        units += p->linear.weight.rows;
      note({w.type, w.columns, units, false});
    }
  }
  void matmul_tanh(const Input &, const Linear &w, float, Rows) override { note_one(w.weight); }
  void matmul_add(const Input &, const Linear &w, Rows, float) override { note_one(w.weight); }
  void glu(const Input &, const Linear &gate, const Linear &up, Glu, Rows) override {
    if (gate.weight.type == up.weight.type)
      return note({gate.weight.type, gate.weight.columns, gate.weight.rows, true});
    note_one(gate.weight);
    note_one(up.weight);
  }
  void gate(const Input &, const Linear &gate, Glu, Rows, uint32_t, Rows) override { note_one(gate.weight); }
  void convolve(Rows, const Convolution &c, RecurrentLayer &, Rows) override {
    n_taps_ = c.n_taps;
    const auto same = [&](const Convolution &other) { return other.n_taps == c.n_taps && other.around == c.around; };
    if (c.around != Around::Nothing && std::none_of(found.convolutions.begin(), found.convolutions.end(), same))
      found.convolutions.push_back(c);
  }
  void block_matmul(Rows, std::initializer_list<Product> products) override {
    for (const Product &p : products) {
      const Kinds::Recurrence kind{p.linear.weight.type, p.linear.weight.columns, n_taps_};
      const auto same = [&](const Kinds::Recurrence &other) {
        return other.type == kind.type && other.block == kind.block && other.n_taps == kind.n_taps;
      };
      if (std::none_of(found.recurrences.begin(), found.recurrences.end(), same)) found.recurrences.push_back(kind);
    }
  }
  void rg_lru(const RgLru &, RecurrentLayer &, Rows) override {}
  uint32_t keep_last(uint32_t, std::initializer_list<Rows *>) override { return 1; }
  void delta_rule(const DeltaRule &rule, RecurrentLayer &, Rows) override {
    if (found.delta_rules.empty()) found.delta_rules.push_back(rule); // a model has one
  }
  void state_space(const StateSpace &space, RecurrentLayer &, Rows) override {
    if (found.state_spaces.empty()) found.state_spaces.push_back(space); // a model has one
  }
  void part_heads(Rows, uint32_t, Rows, Rows) override {}
  void gate(Rows, Rows) override {}
  void glu(Rows, Glu, Rows) override {}
  void clip(Rows, float, float) override { found.sight.clips = true; }
  void patches(const Pixels &pixels, uint32_t side, Rows) override {
    found.sight.pixels = pixels;
    found.sight.patch = side;
  }
  void merge_rows(Rows x, uint32_t, uint32_t factor, Merge how, Rows) override {
    found.sight.width = x.width;
    found.sight.merges = true;
    found.sight.factor = factor;
    found.sight.how = how;
  }
  void logits(const Input &, const Linear &head, float, uint32_t, float *, float) override { note_one(head.weight); }
  void accumulate(Rows, Rows) override {}
  void mix(Rows, const Streams &) override { found.streams = true; }
  void correct(Rows, const float *, Rows, const Streams &) override {}
  void match(Rows, Rows) override {}
  void sparse_gelu(Rows, float cut, Rows) override { found.cut = cut; }
  void copy(Rows, Rows) override {}
  void difference(Rows, Rows) override {}
  void add_row(const float *, Rows) override {}
  void pool(const Input &x, Pooling how, Rows) override {
    found.encoder.width = x.rows.width;
    found.encoder.rmsnorm = x.norm != nullptr;
    found.encoder.pooling = how;
  }
  void attention(Rows q, Rows, Rows, const AttentionSpec &spec, KvLayer &, Rows) override {
    if (q.width == 0) return; // nothing attends
    for (const AttentionSpec &s : found.attention)
      if (s.rope == spec.rope && s.window == spec.window && s.ahead == spec.ahead) return;
    found.attention.push_back(spec);
  }

private:
  uint32_t n_taps_ = 0; // of the last convolution

  void note_one(const Matrix &w) { note({w.type, w.columns, w.rows, false}); }
  void note(const Kinds::Product &p) {
    const auto same = [&](const Kinds::Product &other) {
      return other.type == p.type && other.gated == p.gated &&
             GpuOps::lanes_for(other.columns) == GpuOps::lanes_for(p.columns) &&
             GpuOps::rows_at_once(other.units, 1) == GpuOps::rows_at_once(p.units, 1);
    };
    if (std::none_of(found.products.begin(), found.products.end(), same)) found.products.push_back(p);
  }
};

class NoRows final : public Arena {
public:
  Rows rows(uint32_t width, bool) override { return {nullptr, width}; }
};

} // namespace

Kinds kinds_of(const LoadedModel &model) {
  Noting op;
  NoRows rows;
  const std::unique_ptr<State> state = model.family().new_state(rows);
  state->cache.resize(model.family().shape().n_layer);
  state->recurrent.resize(model.family().shape().n_layer);
  if (model.family().shape().reads()) model.family().read(op, *state);
  model.family().forward(op, *state, {1, nullptr});
  return std::move(op.found);
}

Kinds kinds_of(const Vision &vision) {
  Noting op;
  NoRows rows;
  const PictureEncoder &encoder = vision.encoder();
  const std::unique_ptr<State> state = encoder.new_state(rows);
  state->cache.resize(1);
  const uint32_t fixed = encoder.image_size(), side = fixed != 0 ? fixed : 2 * encoder.factor() * encoder.patch_size();
  encoder.forward(op, *state, nullptr, {side, side}, {nullptr, vision.model().family().shape().n_embd});
  return std::move(op.found);
}

} // namespace slm
