// ops.h: the operations on the CPU. Every thread of the team runs forward() and
// calls the same operations; each is one or more steps of the team (threads.h),
// cut into pieces of about the same work. Owns the scratch memory of the
// kernels. Knows no family and no layer order.
//
// A heavy piece computes into its thread's own results and commits them with a
// copy; one of a few microseconds is all commit. What a single token's product
// reads is small enough for each thread to prepare it for itself.
#pragma once

#include "../ops.h"
#include "kernels/attention.h"
#include "kernels/matmul.h"
#include "threads.h"

namespace slm {

struct Adaptation; // adapter.h

/// Scratch memory of the team for one session's batches.
struct Workspace {
  uint32_t n_batch = 0, n_embd = 0, max_columns = 0, n_wide = 0, max_head_dim = 0, n_head = 0, max_rope_dims = 0;
  uint32_t threads = 0, n_ctx = 0, n_segments = 0; // of the longest context

  uint8_t *quantized = nullptr;        // QuantizedRows for n_batch tokens
  float *normed = nullptr;             // (n_batch, n_embd)
  float *partial = nullptr;            // (n_segments, n_head) outputs of head_dim, then max and sum
  float *angles[kMaxRopes] = {};       // (n_batch, n_dims / 2, 2) cos and sin
  float *lowered = nullptr;            // A x of every adapter, for the products of one call
  const Adaptation *adapted = nullptr; // the adapters in use, or null
  const Probe *probe = nullptr;        // what is looked at, or null
  bool exact = false;                  // activations are not rounded
  bool collecting = false;             // an importance matrix, which all tokens are to count for
  bool rounds = true;                  // some matrix reads rounded ones

  /// What one thread has for itself.
  struct Own {
    uint8_t *quantized = nullptr; // QuantizedRows for one token, or the one row of n_wide
    float *normed = nullptr;      // (n_embd)
    uint8_t *panels = nullptr;    // of matmul
    float *scores = nullptr;      // of attention
    float *results = nullptr;     // (result_floats()) of a piece, until its commit
  };
  Own own[Team::kMaxThreads];

  /// Room for a piece of a few rows of all tokens, or of a few queries' outputs;
  /// otherwise what the nearest cache holds beside the weights.
  uint32_t result_floats() const {
    const uint32_t rows = 2 * kUnitRows * n_batch, queries = kMaxQueries * (max_head_dim + 2), cached = 8192;
    return rows > queries ? (rows > cached ? rows : cached) : queries > cached ? queries : cached;
  }
  /// Bytes of everything; `base` null only counts.
  uint64_t lay_out(uint8_t *base);

  static constexpr uint32_t kUnitGroups = 2, kUnitRows = kUnitGroups * kRows; // as the kernels take them
};

class CpuOps final : public Ops {
public:
  /// For thread `thread`, whose first operation begins with step `step` of the team.
  CpuOps(Team &team, uint32_t thread, uint64_t step, const Batch &tokens, Workspace &ws)
      : Ops(ws.probe), batch(tokens), team_(team), thread_(thread), step_(step), ws_(ws), own_(ws.own[thread]) {}

  void rotations(std::initializer_list<const Rope *> ropes, uint32_t across) override;
  void embed(const Matrix &table, float factor, Rows out) override;
  void embed(const RowTable &table, float factor, Rows out) override;
  void add_embedding(const Matrix &table, Index index, Rows x, uint32_t across) override;
  void layernorm(const LayerNorm &norm, Rows x, Rows out) override;
  void gelu(Rows x, GeluForm which) override;
  void rmsnorm(const Input &x, Rows out, uint32_t first) override;
  /// y is left normalized.
  void add_rmsnorm(Rows y, const float *weight, float epsilon, Rows x, float factor) override;
  void add_rmsnorm_slices(Rows y, const float *weight, uint32_t width, float epsilon, Rows x) override;
  void matmul(const Input &x, std::initializer_list<Product> products) override;
  void matmul_add(const Input &x, const Linear &w, Rows sum, float factor) override;
  void matmul_tanh(const Input &x, const Linear &w, float factor, Rows out) override;
  void glu(const Input &x, const Linear &gate, const Linear &up, Glu act, Rows out) override;
  void gate(const Input &x, const Linear &gate, Glu act, Rows by, uint32_t first, Rows out) override;
  void attention(Rows q, Rows k, Rows v, const AttentionSpec &spec, KvLayer &cache, Rows out) override;
  void convolve(Rows x, const Convolution &convolution, RecurrentLayer &memory, Rows out) override;
  void block_matmul(Rows x, std::initializer_list<Product> products) override;
  void rg_lru(const RgLru &gates, RecurrentLayer &memory, Rows x) override;
  uint32_t keep_last(uint32_t n, std::initializer_list<Rows *> rows) override;
  void delta_rule(const DeltaRule &rule, RecurrentLayer &memory, Rows out) override;
  void state_space(const StateSpace &space, RecurrentLayer &memory, Rows out) override;
  void part_heads(Rows x, uint32_t head_dim, Rows first, Rows second) override;
  void gate(Rows gate, Rows x) override;
  void glu(Rows up, Glu act, Rows gate) override;
  void clip(Rows x, float low, float high) override;
  void pool(const Input &x, Pooling how, Rows out) override;
  void patches(const Pixels &pixels, uint32_t side, Rows out) override;
  void merge_rows(Rows x, uint32_t across, uint32_t factor, Merge how, Rows out) override;
  void logits(const Input &x, const Linear &head, float cap, uint32_t n, float *out, float factor) override;
  void accumulate(Rows x, Rows y) override;
  void copy(Rows from, Rows to) override;
  void mix(Rows coefficients, const Streams &streams) override;
  void correct(Rows coefficients, const float *scale, Rows y, const Streams &streams) override;
  void match(Rows x, Rows y) override;
  void sparse_gelu(Rows up, float cut, Rows x) override;
  void difference(Rows x, Rows y) override;
  void add_row(const float *row, Rows x) override;

private:
  /// What becomes of the rows of a product.
  enum class Finish { Copy, Add, Silu, Gelu, Cap, SiluBy, GeluBy };
  /// What the last two multiply a row by: columns of other rows from `first` on.
  struct By {
    Rows rows;
    uint32_t first;
  };

  /// The next step's part of `units`, and how many pieces it has.
  struct Cut {
    uint32_t units, pieces;
  };
  Cut cut_next(uint32_t units, uint32_t most, uint64_t macs) const;
  /// Cuts `units` of work (`macs` multiply-accumulates each) into pieces of at
  /// most `most` units, and runs them as one step, or several where they are many.
  template <class Compute, class Commit>
  void cut(uint32_t units, uint32_t most, uint64_t macs, Compute compute, Commit commit);
  /// The same for work of so little time that all of it is commit.
  template <class Commit> void cut(uint32_t units, Commit commit);

  void products(Input x, uint32_t n, std::initializer_list<Product> products, Finish finish, float factor = 1,
                float cap = 0, By by = {{}, 0});
  /// The float32 and quantized rows of x, made by all threads for all.
  Activations shared_activations(const Input &x, uint32_t n, uint32_t roundings);
  /// Those of one row, made by this thread for itself.
  Activations own_activations(const Input &x, uint32_t roundings);
  /// Adds the squares of x's `n` rows, column by column, and after the last
  /// column the number of rows.
  void collect(const float *x, uint32_t n, const Matrix &w);
  /// The row that stands in place of a token's embedding, or null.
  const float *picture_row(uint32_t token) const;
  /// Adds what the adapters in use make of token `id` to its embedding.
  void adapt_embedding(uint32_t id, float *row);
  /// A x of the adapters in use, for each product.
  void lower(const float *x, uint32_t n, std::initializer_list<Product> products);
  /// Adds what the adapters make of that to y (n, rows.end - rows.begin), rows of product `index`.
  void raise(uint32_t n, std::initializer_list<Product> products, uint32_t index, Range rows, float *y);

  /// Moves the states of a layer through time, each of a unit of four columns of one head, (rows, 4): for each of them
  /// step(unit, token, state, out). A row costs `cost` multiply-accumulates for each column.
  template <class Step>
  void scan(uint32_t units, uint32_t rows, uint64_t cost, RecurrentLayer &memory, Rows out, Step step);
  void attend_one(Rows q, const AttentionSpec &spec, const KvLayer &cache, Rows out);
  void attend_batch(Rows q, const AttentionSpec &spec, const KvLayer &cache, Rows out);

  Batch batch;         // of this thread, of which pool(), merge_rows() and keep_last() leave fewer rows
  uint32_t first_ = 0; // token of the call that is the batch's first
  Team &team_;
  uint32_t thread_;
  uint64_t step_;
  Workspace &ws_;
  const Workspace::Own &own_;
};

template <class Compute, class Commit>
void CpuOps::cut(uint32_t units, uint32_t most, uint64_t macs, Compute compute, Commit commit) {
  struct Context {
    Compute &compute;
    Commit &commit;
    uint32_t first, units, pieces;
    Range range(uint32_t piece) const {
      const Range r = share(units, piece, pieces);
      return {first + r.begin, first + r.end};
    }
  };
  for (uint32_t first = 0; first < units;) {
    const Cut c = cut_next(units - first, most, macs);
    Context context{compute, commit, first, c.units, c.pieces};
    const Work work{[](void *at, uint32_t piece) {
                      auto &of = *static_cast<Context *>(at);
                      of.compute(of.range(piece));
                    },
                    [](void *at, uint32_t piece) {
                      auto &of = *static_cast<Context *>(at);
                      of.commit(of.range(piece));
                    },
                    &context};
    team_.pieces(step_++, thread_, c.pieces, macs * c.units / c.pieces, work);
    first += c.units;
  }
}

template <class Commit> void CpuOps::cut(uint32_t units, Commit commit) {
  cut(units, units, 0, [](Range) {}, commit);
}

} // namespace slm
