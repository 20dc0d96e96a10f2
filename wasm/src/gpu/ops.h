// ops.h: the operations on the GPU: each becomes one or a few dispatches of the
// shaders in wasm/shaders, written down for the host (host.h) and computed when
// it submits them. Nothing here waits, and a token costs no allocation. Knows
// shapes and where things lie; what a shader does stands in the shader.
//
// A few tokens go through matrix-vector kernels, which read each weight once and
// normalize on the way; many through tiled matrix-matrix kernels. Products that
// share x become one dispatch where their weights share a type and a heap.
#pragma once

#include "../adapter.h"
#include "device.h"
#include "generated/operations.h"
#include "weights.h"

namespace slm {

class GpuOps final : public Ops {
public:
  /// How a product is cut: Sweep has neighbouring lanes sweep along a row and many tokens go through
  /// tiles, as a GPU likes it; Lane has a lane for a row and nothing shared, which an emulated one needs;
  /// Dot8 sweeps with x rounded to bytes where weights are whole numbers; Subgroup sweeps with x
  /// from the device's cache.
  enum class Form : int32_t { Sweep, Lane, Dot8, Subgroup };
  static constexpr const char *kFormNames[] = {"sweep", "lane", "dot8", "subgroup"};
  static constexpr int32_t kForms = sizeof kFormNames / sizeof *kFormNames;
  /// The one that is selected.
  static Form form;
  /// Whether the selected one rounds x for products with weights of this type.
  static bool rounds(TensorType type) { return form == Form::Dot8 && is_quantized(type); }

  /// `exact`: nothing is rounded, whichever form is selected.
  GpuOps(const Batch &tokens, Scratch &scratch, const WeightStore &weights, const Adaptation *adapted, bool exact)
      : Ops(scratch.probe), batch_(tokens), scratch_(scratch), kept_(weights.kept()), adapted_(adapted),
        form_(exact && form == Form::Dot8 ? Form::Sweep : form) {}

  void rotations(std::initializer_list<const Rope *> ropes, uint32_t across) override;
  void embed(const Matrix &table, float factor, Rows out) override;
  void embed(const RowTable &table, float factor, Rows out) override;
  void add_embedding(const Matrix &table, Index index, Rows x, uint32_t across) override;
  void layernorm(const LayerNorm &norm, Rows x, Rows out) override;
  void gelu(Rows x, GeluForm which) override;
  void rmsnorm(const Input &x, Rows out, uint32_t first) override;
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

  /// How matrix-vector kernels are cut: lanes that sweep along a row, and rows of a lane at once.
  static uint32_t lanes_for(uint32_t columns);
  static uint32_t rows_at_once(uint32_t units, uint32_t n_tokens);

  /// Tokens up to which matrix-vector kernels serve.
  static constexpr uint32_t kFewTokens = 4;
  /// Columns of a head that the shaders of attention have room for.
  static constexpr uint32_t kWidestHead = 512;
  /// Positions that one workgroup of a single token's attention goes through.
  static constexpr uint32_t kSegment = 128;
  /// Of a head of keys, that a workgroup of attention takes; it may take twice as many.
  static constexpr uint32_t kFewestQueries = 4;

  /// dst from float `to` on = `n` floats of src from `from` on, two buffers.
  static void copy_floats(uint32_t src, uint32_t dst, uint32_t to, uint32_t n, uint32_t from = 0);

private:
  /// y = x + factor y, where x has `n` rows as y has, or one that is added to all.
  void combine(uint32_t x, uint32_t n, float factor, Rows y);
  /// Rows of `m` for the batch's tokens, by the numbers of embed.wgsl.
  void look_up(const Matrix &m, const WeightStore::Kept &kept, uint32_t index, bool add, float factor, uint32_t x,
               uint32_t across = 1);

  void adapt_embedding(float factor, Rows out);

  /// What becomes of a product's rows; the values are matvec.wgsl's.
  enum Finish : uint32_t { Store = 0, Add = 1, Silu = 2, Gelu = 3, Cap = 4, AddCap = 5 };

  /// Rows to multiply: where, from which token on, how many.
  struct From {
    uint32_t x, stride, first_token, n, blocks, width;
    uint32_t norm = kNone;
    float epsilon = 0;
  };
  /// Whether a matrix-vector kernel serves so many tokens.
  bool are_few(uint32_t n) const { return n <= kFewTokens || form_ == Form::Lane; }
  /// One matrix and where its rows go.
  struct To {
    const Matrix *w;
    const WeightStore::Kept *kept;
    uint32_t y, y_stride, bias;
  };

  From from(const Input &x, uint32_t n) const;
  /// The same rows, normalized, where more than a few are wanted.
  From normalized(const From &f);
  /// The same, however few there are.
  From normalize(const From &f);
  /// The same, of `f.width` columns from `first` on, into rows of `stride` floats.
  From normalize(const From &f, uint32_t first, uint32_t out, uint32_t stride);
  To to(const Linear &linear, Rows out) const;

  void products(const Input &x, uint32_t n, std::initializer_list<Product> products, Finish finish, float factor = 1,
                float cap = 0);
  void multiply(const From &f, const To *to, uint32_t count, Finish finish, float cap, float scale);
  void multiply_few(const From &f, const To *to, uint32_t count, Finish finish, float cap, float scale);
  template <class Operation>
  void encode_few(Operation &op, const From &f, const To *to, uint32_t count, Finish finish, float cap, float scale);
  void multiply_many(const From &f, const To &to, Finish finish, float cap, float scale);
  /// Adds what the adapters make of x, times `factor`, to y; the last of them with `last` in place of Add.
  void adapt(const From &f, const Product &product, Finish last, float factor, float cap);
  bool is_adapted(std::initializer_list<Product> products) const;
  void wrap(uint32_t window);

  Batch batch_;        // of which pool(), merge_rows() and keep_last() leave fewer rows
  uint32_t first_ = 0; // token of the call that is the batch's first
  Scratch &scratch_;
  const WeightStore::Kept &kept_; // of the model
  const Adaptation *adapted_;     // or null
  bool wrapped_ = false;          // the token lies in a ring, whose positions the device has
  Form form_;
};

} // namespace slm
