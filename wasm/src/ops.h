// ops.h: the operations that a model family's forward() is written in. Two
// backends implement them: cpu/ computes at once, on every thread of the team;
// gpu/ writes down what the device is to compute. Knows no family and no layer
// order, and not how either backend goes about it.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "kv_cache.h"
#include "matrix.h"
#include "probe.h"
#include "recurrent.h"
#include "row_table.h"

namespace slm {

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
  uint32_t from = 0; // its first row there
};

/// Rotary position embedding (Su et al. 2021).
struct Rope {
  bool neox = false;             // halves rotate against each other, else neighbours
  uint32_t n_dims = 0;           // of each head, from its start
  float *inverse_freq = nullptr; // (n_dims / 2), position scaling included
  float *factors = nullptr;      // (n_dims / 2) that divide them (Llama 3), or null
  float *long_factors = nullptr; // in their place in a longer context than `original_context` (LongRoPE), or null
  uint32_t original_context = 0;
  float magnitude = 1; // of what rotates
  uint32_t index = 0;  // which of a model's ropes: its place in the workspace
  /// The first half of what rotates turns by a token's column in a picture, the second by its row, each as if it were
  /// alone and by the same frequencies (n_dims / 4).
  bool axial = false;

  /// Pairs that rotate as if alone.
  uint32_t pairs() const { return n_dims / (axial ? 4 : 2); }
  /// By how much pair `i` turns from a position to the next, in a session that has room for `n_ctx`.
  float frequency(uint32_t i, uint32_t n_ctx) const {
    const float *by = long_factors != nullptr && n_ctx > original_context ? long_factors : factors;
    return inverse_freq[i % pairs()] / (by == nullptr ? 1 : by[i]);
  }
  /// By how much pair `i` of a token at `position` is turned; in a picture, rows have `across` patches.
  float angle(uint32_t i, uint32_t position, uint32_t across, uint32_t n_ctx) const {
    const uint32_t at = !axial ? position : i < pairs() ? position % across : position / across;
    return float(at) * frequency(i, n_ctx);
  }
};
inline constexpr uint32_t kMaxRopes = 2;

enum class Glu { Silu, Gelu };

/// Which form of GELU (Hendrycks and Gimpel 2016).
enum class GeluForm { Erf, Tanh };

/// What one layer's attention needs to know beside q, k and v.
struct AttentionSpec {
  uint32_t n_head, n_head_kv, head_dim;
  const Rope *rope;                                 // null: nothing is rotated
  const float *q_norm = nullptr, *k_norm = nullptr; // (head_dim) each, or null
  bool v_norm = false;                              // values are normalized too, without a weight
  float norm_epsilon = 0;
  float scale = 1;   // of the scores
  float softcap = 0; // of the scores; 0 is off
  /// A query at position p is scaled by 1 + temperature ln(1 + floor(p / temperature_span)) besides.
  float temperature = 0, temperature_span = 1;
  uint32_t window = 0; // a token sees this many positions up to itself; 0 is all
  uint32_t ahead = 0;  // and this many behind itself, as far as the call has them

  /// A token sees half of `width` on either side of itself; 0 is all.
  void see_both_ways(uint32_t width) {
    window = width == 0 ? 0 : width / 2 + 1;
    ahead = width == 0 ? UINT32_MAX : width / 2;
  }
};

/// Which rows of a table the tokens of a call get. Those of patches are the table of their column, which is its first
/// half, and that of their row.
enum class Index { Position, First, Column, Row };

/// What numbers are kept between: one number each, or null.
struct Bounds {
  float *low = nullptr, *high = nullptr;
};

/// Mean and spread of a row become those of the weight and the bias (Ba et al. 2016).
struct LayerNorm {
  float *weight = nullptr, *bias = nullptr; // (width) each
  float epsilon = 0;
};

/// Which rows one vector for all of them is made of.
enum class Pooling { Mean, First, Last };

/// What is done to rows on their way through a convolution.
enum class Around : uint32_t {
  Nothing,
  Gates, // rows begin with a gate before the convolution and one behind it, each of the width
  Silu,  // behind it
};

/// A causal convolution over time, of each channel with taps of its own.
struct Convolution {
  float *taps = nullptr; // (width, n_taps), the last one for the present token
  float *bias = nullptr; // (width), or null
  uint32_t n_taps = 0;
  uint32_t first = 0; // column of the rows from which on they are convolved
  Around around = Around::Nothing;
  static constexpr uint32_t kMaxTaps = 8;
};

/// What one layer of RG-LRU reads beside its input: rows of its width.
struct RgLru {
  Rows input, recurrence, output; // gates before their activations
  const float *decay;             // (width), of the logarithm of a state, below 0
};

/// What one layer of the gated delta rule reads beside its norm: rows of heads. A head of values has the queries and
/// keys of head `its own mod n_head_k`; all heads are as wide.
struct DeltaRule {
  uint32_t n_head_k, n_head, head_dim; // kMaxHead at most, a multiple of 4
  Rows qkv;                            // queries and keys (n_head_k, head_dim) each, values (n_head, head_dim)
  Rows strength, decay;                // (n_head) before their activations, in which they are left on the CPU
  Rows gate;                           // (n_head, head_dim) before its activation
  const float *decay_bias, *rate;      // (n_head), the rate below 0
  const float *norm;                   // (head_dim), of what a head puts out
  float norm_epsilon;
  static constexpr uint32_t kMaxHead = 128;

  uint32_t n_inputs() const { return (2 * n_head_k + n_head) * head_dim; } // of a row of qkv
  uint32_t n_state() const { return n_head * head_dim * head_dim; }
};

/// What one layer of Mamba-2 reads beside its norm: rows of heads. Those of a group, which follow each other, share
/// what writes into their states and what reads from them.
struct StateSpace {
  uint32_t n_head, head_dim, n_group, n_state; // the state kMaxState at most; it and heads multiples of 4
  Rows in;                                     // gates (n_head, head_dim) before their activation, what was convolved,
                                               // and steps (n_head) before theirs, in which they are left on the CPU
  Rows convolved;                              // x (n_head, head_dim); writing and reading (n_group, n_state) each
  Rows decay;                                  // (n_head), room
  const float *step_bias, *rate, *skip;        // (n_head), the rate below 0
  const float *norm;                           // (n_group, n_head / n_group * head_dim)
  float norm_epsilon;
  static constexpr uint32_t kMaxState = 128;

  uint32_t width() const { return n_head * head_dim; }                  // of what comes out
  uint32_t n_inputs() const { return width() + 2 * n_group * n_state; } // of a row of convolved
  uint32_t n_in() const { return width() + n_inputs() + n_head; }       // of a row of in
};

/// A picture as it was sent: `height` rows of `width` pixels, red, green and blue of a byte each.
struct Pixels {
  const uint8_t *rgb = nullptr; // on the GPU it names a buffer
  uint32_t width = 0, height = 0;
  float mean[3] = {}, deviation[3] = {}; // of each colour, between 0 and 1
};

/// What becomes of a square of rows that are merged: their mean, or all of them, one behind the other.
enum class Merge { Mean, Concatenation };

/// Rows, from row `from` on, in place of the embeddings of tokens [first, first + n) of a call.
struct Placed {
  Rows rows;
  uint32_t first, n, from;
};

/// Tokens [begin, end) of a call that see each other; those before themselves, where `windowed`, only as far as a
/// layer's window goes.
struct Together {
  uint32_t begin, end;
  bool windowed;
};

/// The tokens of one call.
struct Batch {
  const int32_t *ids;
  uint32_t n;                         // tokens
  uint32_t past;                      // positions already in the cache
  std::span<const Placed> pictures{}; // rising
  std::span<const Together> blocks{}; // rising, apart from each other
  /// Of the positions in the cache the first, whose keys an encoder has made: every token sees them, and counts its own
  /// position from their end on. Tokens behind them come one by one.
  uint32_t read = 0;

  /// Where the cache of a layer with this window has a position. Behind what was read it is a ring as wide as the
  /// window: what lies in it is what is seen.
  uint32_t slot(uint32_t window, uint32_t position) const {
    return is_in_ring(window, position) ? read + (position - read) % window : position;
  }
  bool is_in_ring(uint32_t window, uint32_t position) const {
    return read != 0 && window != 0 && position >= read + window;
  }
};

class Ops {
public:
  /// `probe` may be null.
  explicit Ops(const Probe *probe = nullptr) : probe_(probe) {}
  virtual ~Ops() = default;

  /// Where forward() is; whoever looks inside sees, or adds to, `rows` here. Else it costs nothing.
  void mark(Mark mark, uint32_t layer, Rows rows) {
    if (probe_ != nullptr) look(mark, layer, rows);
  }
  /// Whether somebody looks at the rows of all tokens.
  bool is_tapped() const { return probe_ != nullptr && !probe_->taps.empty(); }

  /// Prepares the rotations of the batch's positions; before any attention. Of a picture, whose rows have `across`
  /// patches, ropes are axial.
  virtual void rotations(std::initializer_list<const Rope *> ropes, uint32_t across = 1) = 0;

  /// out = rows of `table` for the batch's ids, times `factor`; where the batch has pictures, their rows as they are.
  virtual void embed(const Matrix &table, float factor, Rows out) = 0;
  /// The same, but the row of token 0, which pads, where the batch has pictures.
  virtual void embed(const RowTable &table, float factor, Rows out) = 0;
  /// x += rows of `table`; of positions, it has as many as a call has tokens. A picture's rows have `across` patches.
  virtual void add_embedding(const Matrix &table, Index index, Rows x, uint32_t across = 1) = 0;
  /// out = norm(x); they may be the same.
  virtual void layernorm(const LayerNorm &norm, Rows x, Rows out) = 0;
  /// x = gelu(x)
  virtual void gelu(Rows x, GeluForm form) = 0;
  /// out = norm(x), or of as many of its columns as out has, from `first` on; they are not the same rows. Without a
  /// norm's weight, it is one for all.
  virtual void rmsnorm(const Input &x, Rows out, uint32_t first = 0) = 0;
  /// x = (x + rmsnorm(y)) factor; y is no longer needed.
  virtual void add_rmsnorm(Rows y, const float *weight, float epsilon, Rows x, float factor = 1) = 0;
  /// x += rmsnorm(y), of each `width` columns by themselves; y is no longer needed.
  virtual void add_rmsnorm_slices(Rows y, const float *weight, uint32_t width, float epsilon, Rows x) = 0;

  struct Product {
    const Linear &linear;
    Rows out;
  };
  static constexpr uint32_t kMaxProducts = 3; // of one call
  /// out = W x for each product; they share x.
  virtual void matmul(const Input &x, std::initializer_list<Product> products) = 0;
  /// sum += factor W x
  virtual void matmul_add(const Input &x, const Linear &w, Rows sum, float factor = 1) = 0;
  /// out = tanh(factor W x)
  virtual void matmul_tanh(const Input &x, const Linear &w, float factor, Rows out) = 0;
  /// out = act(gate x) * (up x)  (Shazeer 2020)
  virtual void glu(const Input &x, const Linear &gate, const Linear &up, Glu act, Rows out) = 0;
  /// out = act(gate x) * the columns of `by` from `first` on
  virtual void gate(const Input &x, const Linear &gate, Glu act, Rows by, uint32_t first, Rows out) = 0;

  /// Normalizes and rotates q and k, appends k and v to the cache and attends. Without data in k and v
  /// the cache is another layer's, which has appended its own; without data in q nothing attends.
  virtual void attention(Rows q, Rows k, Rows v, const AttentionSpec &spec, KvLayer &cache, Rows out) = 0;

  /// out = the convolution of x with what it was before, which `memory` keeps.
  virtual void convolve(Rows x, const Convolution &convolution, RecurrentLayer &memory, Rows out) = 0;
  /// out = W x for each product, of which W is block-diagonal: (width, block), of whose rows each sees its own block
  /// of x alone.
  virtual void block_matmul(Rows x, std::initializer_list<Product> products) = 0;
  /// The real-gated linear recurrent unit (De et al. 2024) and the gate behind it, in place:
  /// h = a h + sqrt(1 - a^2) sigmoid(input) x, log a = sigmoid(recurrence) decay, x = h gelu(output).
  virtual void rg_lru(const RgLru &gates, RecurrentLayer &memory, Rows x) = 0;
  /// The gated delta rule (Yang et al. 2025) and the gated norm behind it, of each head with q and k of length 1 and q
  /// over the root of its width: S = a S, S += k (sigmoid(strength) (v - S k))^T, a = exp(rate softplus(decay + bias)),
  /// out = norm(S q) silu(gate).
  virtual void delta_rule(const DeltaRule &rule, RecurrentLayer &memory, Rows out) = 0;
  /// The state space of Mamba-2 (Dao and Gu 2024) and the gated norm behind it, of each head: S = exp(rate d) S + b (d
  /// x)^T, d = softplus(step + bias), y = c S + skip x, of each group out = norm(y silu(gate)).
  virtual void state_space(const StateSpace &space, RecurrentLayer &memory, Rows out) = 0;
  /// Each head of x has two halves, which become a head of `first` and one of `second`.
  virtual void part_heads(Rows x, uint32_t head_dim, Rows first, Rows second) = 0;
  /// x *= sigmoid(gate)
  virtual void gate(Rows gate, Rows x) = 0;
  /// gate = act(gate) * up
  virtual void glu(Rows up, Glu act, Rows gate) = 0;
  /// x = what of it lies between the two, else the nearer one.
  virtual void clip(Rows x, float low, float high) = 0;

  /// What a model with several residuals (AltUp, Baykal et al. 2023) has.
  static constexpr uint32_t kStreams = 4;
  using Streams = std::array<Rows, kStreams>;
  /// Each stream j += the sum of the streams i as they are, times column j * kStreams + i of `coefficients`.
  virtual void mix(Rows coefficients, const Streams &streams) = 0;
  /// Each stream j += (1 + column j of `coefficients`) (y - the first stream as it is); y = the first stream as it
  /// becomes, times scale (width).
  virtual void correct(Rows coefficients, const float *scale, Rows y, const Streams &streams) = 0;
  /// The mean square of a row that match() takes for a shorter one's.
  static constexpr float kLeastSquare = 1e-5f;
  /// y becomes as long as x.
  virtual void match(Rows x, Rows y) = 0;
  /// x = gelu(max(0, x - (mean + cut deviation))) * up, both of x's row.
  virtual void sparse_gelu(Rows up, float cut, Rows x) = 0;

  /// From here on the operations see the last `n` tokens alone, or more of them where it is no gain to leave them out;
  /// `rows` become theirs. Returns how many tokens are left.
  virtual uint32_t keep_last(uint32_t n, std::initializer_list<Rows *> rows) = 0;

  /// Row 0 of out = the mean of x's rows, or one of them. The operations that follow see this row alone; x
  /// is no longer needed.
  virtual void pool(const Input &x, Pooling how, Rows out) = 0;

  /// out = the pixels of each patch of `side` x `side`, row by row of patches: all of one colour, then the next's.
  virtual void patches(const Pixels &pixels, uint32_t side, Rows out) = 0;
  /// out = what each `factor` x `factor` of x's rows become, of which `across` are a row of the picture. The
  /// operations that follow see these rows alone.
  virtual void merge_rows(Rows x, uint32_t across, uint32_t factor, Merge how, Rows out) = 0;

  /// Logits (n, n_vocab) of the last `n` tokens: product, times `factor`, soft cap.
  virtual void logits(const Input &x, const Linear &head, float cap, uint32_t n, float *out, float factor = 1) = 0;

  /// y += x
  virtual void accumulate(Rows x, Rows y) = 0;
  /// to = from
  virtual void copy(Rows from, Rows to) = 0;
  /// y = x - y
  virtual void difference(Rows x, Rows y) = 0;
  /// x += row, each of its rows; on the GPU `row` names a buffer.
  virtual void add_row(const float *row, Rows x) = 0;

private:
  void look(Mark mark, uint32_t layer, Rows rows);

  const Probe *probe_;
};

} // namespace slm
