// ops.h: the operations that a model family's forward() is written in. Every
// thread of the team runs forward() and calls the same operations; each does
// its share and, where others will read the result, ends at a barrier. Owns the
// scratch memory of the kernels and the batch. Knows no family and no layer
// order.
//
// With a single token some operations are cheaper than a barrier: each thread
// does them whole and writes the same values to the same place.
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

/// Scratch memory shared by the team for one session's batches.
struct Workspace {
  uint32_t n_batch = 0, max_columns = 0, max_head_dim = 0, n_head = 0, max_rope_dims = 0;
  uint32_t threads = 0, n_segments = 0; // of the longest context
  uint8_t *quantized = nullptr;         // QuantizedRows for n_batch tokens
  uint8_t *panels = nullptr;            // per thread
  float *scores = nullptr;              // per thread
  float *partial = nullptr;             // (n_segments, n_head) outputs of head_dim, then max and sum
  float *angles[kMaxRopes] = {};        // (n_batch, n_dims / 2, 2) cos and sin
  const Adaptation *adapted = nullptr;  // the adapters in use, or null

  size_t panel_bytes() const { return (matmul_scratch_bytes(max_columns) + 63) & ~size_t(63); }
  /// Bytes of everything; `base` null only counts.
  uint64_t lay_out(uint8_t *base);
};

class Ops {
public:
  Ops(Team &team, uint32_t thread, const Batch &batch, Workspace &ws)
      : batch(batch), team_(team), thread_(thread), ws_(ws) {}

  const Batch &batch;

  /// Prepares the rotations of the batch's positions; before any attention.
  void rotations(std::initializer_list<const Rope *> ropes);

  /// out = rows of `table` for the batch's ids, times `factor`.
  void embed(const Matrix &table, float factor, Rows out);
  void rmsnorm(Rows x, const float *weight, float epsilon, Rows out);
  /// x += rmsnorm(y)
  void add_rmsnorm(Rows y, const float *weight, float epsilon, Rows x);

  struct Product {
    const Linear &linear;
    Rows out;
  };
  static constexpr uint32_t kMaxProducts = 3; // of one call
  /// out = W x for each product; they share the quantized x.
  void matmul(Rows x, std::initializer_list<Product> products);
  /// sum += W x, by way of `scratch`, which is as wide as sum.
  void matmul_add(Rows x, const Linear &w, Rows scratch, Rows sum);
  /// out = act(gate x) * (up x)  (Shazeer 2020); `scratch` is as wide as out.
  void glu(Rows x, const Linear &gate, const Linear &up, Glu act, Rows out, Rows scratch);

  /// Normalizes and rotates q and k, appends k and v to the cache and attends.
  void attention(Rows q, Rows k, Rows v, const AttentionSpec &spec, KvLayer &cache, Rows out);

  /// Logits (n, n_vocab) of the last `n` tokens: rmsnorm, product, soft cap.
  void logits(Rows x, const float *norm, float epsilon, const Linear &head, float cap, uint32_t n, Rows normed,
              float *out);

private:
  Activations activations(Rows x, uint32_t n, uint32_t roundings);
  void products(Rows x, uint32_t n, std::initializer_list<Product> products);
  /// Adds the squares of x's first `n` rows, column by column, and after the
  /// last column the number of rows.
  void collect(Rows x, uint32_t n, float *sums);
  /// Adds what the adapters in use make of x to this thread's rows of each product.
  void adapt(Rows x, uint32_t n, std::initializer_list<Product> products);
  /// The groups of four rows of a product that are this thread's; pairs, as the
  /// kernel takes them.
  Range my_groups(const Matrix &w) const { return share(w.groups(), thread_, team_.size(), 2); }
  Range my_rows(const Linear &l) const {
    const Range groups = my_groups(l.weight);
    const uint32_t n = l.weight.rows;
    return {groups.begin * 4 < n ? groups.begin * 4 : n, groups.end * 4 < n ? groups.end * 4 : n};
  }
  bool alone() const { return batch.n == 1; }
  Range tokens() const { return alone() ? Range{0, 1} : share(batch.n, thread_, team_.size()); }

  Team &team_;
  uint32_t thread_;
  Workspace &ws_;
};

} // namespace slm
