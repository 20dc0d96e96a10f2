// ops.h: the operations that a model family's forward() is written in. Every
// thread of the team runs forward() and calls the same operations; each is one
// or more steps of the team (threads.h), cut into pieces of about the same work.
// Owns the scratch memory of the kernels and the batch. Knows no family and no
// layer order.
//
// A heavy piece computes into its thread's own results and commits them with a
// copy; one of a few microseconds is all commit. What a single token's product
// reads is small enough for each thread to prepare it for itself.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "error.h"
#include "kernels/attention.h"
#include "kernels/matmul.h"
#include "kv_cache.h"
#include "threads.h"

namespace slm {

/// Activations: float32 (n_tokens, width).
struct Rows {
  float *data = nullptr;
  uint32_t width = 0;
};

/// What a product reads: rows, normalized first (Zhang and Sennrich 2019) where
/// there is a norm (width).
struct Input {
  Rows rows;
  const float *norm = nullptr;
  float epsilon = 0;
};

/// y = W x + bias; bias (rows) or null.
struct Linear {
  Matrix weight;
  float *bias = nullptr;
  uint32_t slot = 0; // the tensor's place in its model, by which adapters know it
};

/// Rotary position embedding (Su et al. 2021).
struct Rope {
  bool neox = false;             // halves rotate against each other, else neighbours
  uint32_t n_dims = 0;           // of each head, from its start
  float *inverse_freq = nullptr; // (n_dims / 2), position scaling included
  float *factors = nullptr;      // (n_dims / 2) that divide them (Llama 3), or null
  uint32_t index = 0;            // which of a model's ropes: its place in the workspace
};
inline constexpr uint32_t kMaxRopes = 2;

enum class Glu { Silu, Gelu };

/// What one layer's attention needs to know beside q, k and v.
struct AttentionSpec {
  uint32_t n_head, n_head_kv, head_dim;
  const Rope *rope;
  const float *q_norm = nullptr, *k_norm = nullptr; // (head_dim) each, or null
  float norm_epsilon = 0;
  float scale = 1;     // of the scores
  float softcap = 0;   // of the scores; 0 is off
  uint32_t window = 0; // a token sees this many positions, itself included; 0 is all
};

/// The tokens of one call.
struct Batch {
  const int32_t *ids;
  uint32_t n;    // tokens
  uint32_t past; // positions already in the cache
};

struct Adaptation; // adapter.h

/// Scratch memory of the team for one session's batches.
struct Workspace {
  uint32_t n_batch = 0, n_embd = 0, max_columns = 0, max_head_dim = 0, n_head = 0, max_rope_dims = 0;
  uint32_t threads = 0, n_segments = 0; // of the longest context

  uint8_t *quantized = nullptr;        // QuantizedRows for n_batch tokens
  float *normed = nullptr;             // (n_batch, n_embd)
  float *partial = nullptr;            // (n_segments, n_head) outputs of head_dim, then max and sum
  float *angles[kMaxRopes] = {};       // (n_batch, n_dims / 2, 2) cos and sin
  const Adaptation *adapted = nullptr; // the adapters in use, or null
  bool exact = false;                  // activations are not rounded

  /// What one thread has for itself.
  struct Own {
    uint8_t *quantized = nullptr; // QuantizedRows for one token
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

class Ops {
public:
  /// For thread `thread`, whose first operation begins with step `step` of the team.
  Ops(Team &team, uint32_t thread, uint64_t step, const Batch &batch, Workspace &ws)
      : batch(batch), team_(team), thread_(thread), step_(step), ws_(ws), own_(ws.own[thread]) {}

  const Batch &batch;

  /// Prepares the rotations of the batch's positions; before any attention.
  void rotations(std::initializer_list<const Rope *> ropes);

  /// out = rows of `table` for the batch's ids, times `factor`.
  void embed(const Matrix &table, float factor, Rows out);
  /// x += rmsnorm(y); y is left normalized.
  void add_rmsnorm(Rows y, const float *weight, float epsilon, Rows x);

  struct Product {
    const Linear &linear;
    Rows out;
  };
  static constexpr uint32_t kMaxProducts = 3; // of one call
  /// out = W x for each product; they share the quantized x.
  void matmul(const Input &x, std::initializer_list<Product> products);
  /// sum += W x
  void matmul_add(const Input &x, const Linear &w, Rows sum);
  /// out = act(gate x) * (up x)  (Shazeer 2020)
  void glu(const Input &x, const Linear &gate, const Linear &up, Glu act, Rows out);

  /// Normalizes and rotates q and k, appends k and v to the cache and attends.
  void attention(Rows q, Rows k, Rows v, const AttentionSpec &spec, KvLayer &cache, Rows out);

  /// Logits (n, n_vocab) of the last `n` tokens: product, soft cap.
  void logits(const Input &x, const Linear &head, float cap, uint32_t n, float *out);

private:
  /// What becomes of the rows of a product.
  enum class Finish { Copy, Add, Silu, Gelu, Cap };

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

  void products(Input x, uint32_t n, std::initializer_list<Product> products, Finish finish, float cap = 0);
  /// The float32 and quantized rows of x, made by all threads for all.
  Activations shared_activations(const Input &x, uint32_t n, uint32_t roundings);
  /// Those of one row, made by this thread for itself.
  Activations own_activations(const Input &x, uint32_t roundings);
  /// Adds the squares of x's `n` rows, column by column, and after the last
  /// column the number of rows.
  void collect(const float *x, uint32_t n, const Matrix &w);
  /// Adds what the adapters in use make of token `id` to its embedding.
  void adapt_embedding(uint32_t id, float *row);
  /// A x of the adapters in use, for each product.
  void lower(const float *x, uint32_t n, std::initializer_list<Product> products);
  /// Adds what the adapters make of that to y (n, rows.end - rows.begin), rows of product `index`.
  void raise(uint32_t n, std::initializer_list<Product> products, uint32_t index, Range rows, float *y);

  void attend_one(Rows q, const AttentionSpec &spec, const KvLayer &cache, Rows out);
  void attend_batch(Rows q, const AttentionSpec &spec, const KvLayer &cache, Rows out);

  Team &team_;
  uint32_t thread_;
  uint64_t step_;
  Workspace &ws_;
  const Workspace::Own &own_;
};

template <class Compute, class Commit>
void Ops::cut(uint32_t units, uint32_t most, uint64_t macs, Compute compute, Commit commit) {
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

template <class Commit> void Ops::cut(uint32_t units, Commit commit) {
  cut(units, units, 0, [](Range) {}, commit);
}

} // namespace slm
