// model.h: what every family provides, and the loader it reads its facts from.
// A family is one file in this folder: Config from metadata, Weights by name
// and shape, State, and forward(); kFamilies in families.cpp lists it. Knows no
// block formats: a weight is a Linear, its kernel is the loader's business.
#pragma once

#include <cmath>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../gguf.h"
#include "../hash_index.h"
#include "../memory.h"
#include "../ops.h"
#include "../weights.h"

namespace slm {

/// The facts that the host and the session need of any family.
struct ModelShape {
  uint32_t n_ctx_train = 0, n_vocab = 0, n_embd = 0, n_layer = 0, n_head = 0, n_head_kv = 0, head_dim = 0;
  uint32_t n_ff = 0, rope_dims = 0;
  uint32_t n_embedding = 0; // numbers of a text's embedding; 0: it makes logits
  uint32_t n_wide = 0;      // of the one row on the way there, where it is wider than all others
  uint32_t n_recurrent = 0; // of the rows of recurrent layers
  int32_t start = -1;       // the token that answers begin with, where an encoder reads prompts

  bool embeds() const { return n_embedding != 0; }
  /// Whether an encoder reads a prompt, whole, before a decoder answers.
  bool reads() const { return start >= 0; }
  /// Numbers of a row that forward() puts out.
  uint32_t n_out() const { return embeds() ? n_embedding : n_vocab; }
};

/// Layers [first, end) of a model.
struct LayerRange {
  uint32_t first = 0, end = UINT32_MAX;
  bool has(uint32_t layer) const { return layer >= first && layer < end; }
  /// Whether a model of these can consist of `some`.
  Status check(LayerRange some) const {
    if (some.first < some.end && some.first >= first && some.end <= end) return SLM_OK;
    return fail(SLM_ERR_INVALID_ARGUMENT, "expected some of the layers ", first, " to ", end, ", found ", some.first,
                " to ", some.end);
  }
};

/// Hands out the activations of a session, or only counts them.
class Arena {
public:
  virtual ~Arena() = default;
  /// Of each token of a batch, or one for all.
  virtual Rows rows(uint32_t width, bool one = false) = 0;
};

/// A tensor of a model file and where its packed bytes go.
struct TensorSlot {
  const GgufTensor *tensor;
  uint32_t file;
  Matrix *matrix = nullptr;  // packed in groups of four rows, or
  float **vector = nullptr;  // widened to float32, or
  RowTable *table = nullptr; // as it is
  Matrix *parts[3] = {};     // whose rows those of the matrix are, one behind the other, where it is several
  uint32_t fed = 0;          // bytes taken so far, by any thread
  bool skipped = false;      // nothing computes with it, or its layer is left out: known, and not loaded
  bool turned = false;       // the file has the matrix's transpose,
  Block whole{};             // which is kept until it is all there

  /// The one whose inputs an importance matrix counts: several have the same.
  Matrix &counted() const { return parts[0] == nullptr ? *matrix : *parts[0]; }
  bool claimed() const { return matrix != nullptr || vector != nullptr || table != nullptr; }

  uint64_t elements() const { return tensor->ne[0] * tensor->ne[1]; }
  uint32_t granule() const; // a piece is a multiple of this many file bytes
  uint64_t packed_bytes() const;
  /// Counts a piece of `n` bytes at `offset`, if it may be one.
  Status take(uint32_t offset, uint32_t n);
  /// Gives it its place.
  Status place(WeightStore &weights);
  /// Takes a piece to its place, from any thread.
  Status feed(WeightStore &weights, uint32_t offset, const uint8_t *bytes, uint32_t n);
  /// After the last piece: packs what could not be before.
  Status turn(WeightStore &weights);
};

/// Whether every tensor has arrived whole.
Status check_fed(std::span<const TensorSlot> slots);

/// Reads metadata under the architecture's prefix and claims tensors. Every
/// method that fails names the key or tensor.
class Loader {
public:
  /// Claims the tensors of all layers, and marks those as skipped whose layer is not among `layers`.
  /// What the names of layer 0 begin with, before the 0, is `blocks`.
  Loader(const std::vector<std::unique_ptr<Gguf>> &files, std::string_view architecture, uint32_t n_vocab,
         LayerRange layers, std::vector<TensorSlot> &slots, std::string_view blocks = "blk.");

  /// What the names of the layers that are claimed from now on begin with.
  void under(std::string_view blocks) { blocks_ = blocks; }

  std::string_view architecture() const { return architecture_; }
  uint32_t n_vocab() const { return n_vocab_; }

  /// `<architecture>.<key>`; required, or with a default.
  Status number(std::string_view key, uint32_t &value) const;
  Status number(std::string_view key, uint32_t &value, uint32_t otherwise) const;
  Status number(std::string_view key, float &value, float otherwise) const;
  Status flag(std::string_view key, bool &value, bool otherwise) const;
  /// Of each of `n` layers, whether a pattern has it; without the key, all but every `period`-th.
  Status pattern(std::string_view key, uint32_t n, uint32_t period, std::vector<int32_t> &value) const;
  /// A number for all layers, or an array with one of each that does not have the part it counts of: those have 0.
  Status number_of_some(std::string_view key, uint32_t n_layer, uint32_t &value, uint32_t otherwise) const;
  /// Whether `<architecture>.<key>`, where it is there, is `expected`; `what` is what it asks for otherwise.
  Status refuse_variant(std::string_view key, uint32_t expected, std::string_view what) const;
  /// A key that stands under no architecture.
  Status global_number(std::string_view key, uint32_t &value, uint32_t otherwise) const;
  Status text(std::string_view key, std::string_view &value, std::string_view otherwise) const;
  /// One for each of `n` layers; a single number is all of theirs. Required.
  Status numbers(std::string_view key, uint32_t n, std::vector<uint32_t> &values) const;
  /// As many numbers as `out` has; a longer list ends where it does.
  Status numbers(std::string_view key, std::span<float> out, bool infinite = false) const;

  /// Numbers of a row of activations.
  static constexpr uint32_t kMaxWidth = 1u << 20;
  /// Whether the number that `<architecture>.<key>` gave may be one.
  Status between(std::string_view key, uint32_t value, uint32_t low, uint32_t high) const;

  /// The keys that all families share, checked against named limits; the largest where layers may differ.
  Status shape(ModelShape &shape, bool layers_differ = false) const;
  /// rope.freq_base, rope.scaling.*, rope_freqs.weight or rope_factors_*.weight; inverse frequencies.
  Status rope(Rope &rope, bool neox, uint32_t n_dims, float default_base);
  /// A rope with a base of its own and no scaling.
  Status plain_rope(Rope &rope, bool neox, uint32_t n_dims, float base);
  /// The same for patches; `n_dims` is a multiple of 4.
  Status axial_rope(Rope &rope, uint32_t n_dims, float base);

  /// "blk.<layer>.<name>"; (rows, columns). The Linear must stay where it is.
  Status linear(int layer, std::string_view name, uint32_t rows, uint32_t columns, Linear &out);
  /// The same, with "<name>.bias" beside "<name>.weight" if the file has one.
  Status linear_with_bias(int layer, std::string_view name, uint32_t rows, uint32_t columns, Linear &out);
  struct Share {
    Linear &linear;
    uint32_t rows;
  };
  /// Several, at most three, of which the file has the rows in one tensor, which becomes `whole`. All must stay
  /// where they are. `planes`: equal ones, one for each number of the third dimension.
  Status stacked(int layer, std::string_view name, uint32_t columns, Linear &whole, std::initializer_list<Share> shares,
                 bool planes = false);
  /// A matrix of which the file has the transpose, and none that is quantized.
  Status turned(std::string_view name, uint32_t rows, uint32_t columns, Linear &out);
  /// A convolution of squares that do not overlap, as a matrix: (rows, 3 colours * side * side), with its bias.
  Status patches(std::string_view name, uint32_t rows, uint32_t side, Linear &out);
  /// Two tables of (n, columns) under one name, as one matrix; n, which the file tells, is `most` at most.
  Status pair_of_tables(std::string_view name, uint32_t most, uint32_t columns, uint32_t &n, Linear &out);
  Status vector(int layer, std::string_view name, uint32_t n, float *&out);
  /// "<name>.<which>_min" and "<name>.<which>_max", if the file has them.
  Status bounds(int layer, std::string_view name, std::string_view which, Bounds &out);
  /// "blk.<layer>.<name>" as it stands: a vector that is no ".weight".
  Status bare_vector(int layer, std::string_view name, uint32_t n, float *&out);
  /// The same of one that stands: (n, 1).
  Status bare_column(int layer, std::string_view name, uint32_t n, float *&out);
  /// "<name>.weight" of a matrix that no product reads: (rows, columns), row by row.
  Status table(int layer, std::string_view name, uint32_t rows, uint32_t columns, float *&out);
  /// A matrix that is looked up by rows. It must stay where it is.
  Status row_table(std::string_view name, uint32_t rows, uint32_t columns, RowTable &out);
  /// "<name>.weight" is not loaded, if the file has it: this layer computes nothing with it.
  void leave_out(int layer, std::string_view name);
  /// Whatever begins so is not loaded.
  void leave_out_all(std::string_view prefix);
  /// "<name>.weight" and "<name>.bias"
  Status layernorm(int layer, std::string_view name, uint32_t n, LayerNorm &out);
  /// "<name>.weight", (width, taps), and "<name>.bias" if the file has one.
  Status convolution(int layer, std::string_view name, uint32_t width, uint32_t n_taps, Convolution &out);
  /// The last `n` layers, which a model is trained with and runs without: shape.n_layer becomes what remains.
  Status leave_out_last(uint32_t n, ModelShape &shape);
  bool has(std::string_view name) const;
  /// "blk.<layer>.<name>.weight"
  bool has(int layer, std::string_view name) const;
  /// Numbers of a row of that tensor, and its rows, or 0 without it.
  uint64_t columns(int layer, std::string_view name) const;
  uint64_t rows(int layer, std::string_view name) const;
  /// output.weight, or the token embedding when the file ties them.
  Status head(uint32_t n_embd, const Linear &embedding, Linear &own, const Linear *&head);

  /// After everything was claimed: tensors that nobody claimed are an error,
  /// for ignoring a weight would be silently wrong.
  Status finish() const;

  /// The frequency tables, for the model to keep.
  Block *rope_tables() { return rope_table_; }

private:
  struct Shape {
    uint32_t ne[4]; // the fastest dimension first, as in a file
  };
  std::string tensor_name(int layer, std::string_view name, std::string_view ending) const;
  Status stretch(Rope &rope, float base, float factor) const;
  TensorSlot *slot(std::string_view name) const;
  Status claim(int layer, const std::string &name, const Shape &shape, TensorSlot *&out);
  Status claim_matrix(int layer, const std::string &name, const Shape &shape, uint32_t rows, uint32_t columns,
                      Linear &out);
  Status claim_bias(int layer, std::string_view name, Linear &out);
  Status claim_vector(int layer, const std::string &name, uint32_t n, float *&out) {
    return claim_floats(layer, name, 1, n, out);
  }
  Status claim_floats(int layer, const std::string &name, uint32_t rows, uint32_t columns, float *&out);

  const std::vector<std::unique_ptr<Gguf>> &files_;
  std::string_view architecture_, blocks_;
  uint32_t n_vocab_;
  LayerRange layers_;
  std::vector<TensorSlot> &slots_;
  HashIndex names_;
  Block rope_table_[kMaxRopes];
  uint32_t n_ropes_ = 0;
};

inline float inverse_sqrt(uint32_t n) { return 1 / std::sqrt(float(n)); }

/// Keys and values of a layer.
struct KvShape {
  uint32_t n_head = 0, head_dim = 0;
};

/// What forward() computes into.
struct Output {
  uint32_t n;    // last tokens whose logits are wanted; may be 0, and is 1 of a model that embeds
  float *logits; // or the embedding
};

/// Activations of one session; a family derives its own.
struct State {
  virtual ~State() = default;
  std::vector<KvLayer> cache;            // of each layer; empty where it recurs
  std::vector<RecurrentLayer> recurrent; // of each layer; empty where it attends
};

class Family {
public:
  virtual ~Family() = default;
  virtual Status load(Loader &loader) = 0;
  virtual const ModelShape &shape() const = 0;
  /// Positions that layer `layer` attends to; 0 is all.
  virtual uint32_t window(uint32_t layer) const = 0;
  /// Of layer `layer`; no heads where it attends to another layer's.
  virtual KvShape kv(uint32_t) const { return {shape().n_head_kv, shape().head_dim}; }
  /// Of all queries' outputs in layer `layer`.
  virtual uint32_t heads_width(uint32_t) const { return shape().n_head * shape().head_dim; }
  /// Whether tokens are looked up in a table that stays in linear memory, so that a device cannot go on with a token
  /// that nobody knows yet.
  virtual bool looks_up() const { return false; }
  /// Whether each layer has one residual, which can be looked at, added to, and made logits of.
  virtual bool has_residual() const { return true; }
  /// What layer `layer` remembers in place of keys and values; nothing where it attends.
  virtual RecurrentLayer recurrent(uint32_t) const { return {}; }
  virtual std::unique_ptr<State> new_state(Arena &arena) const = 0;
  /// Runs a prompt through the encoder, where there is one, and leaves the layers of forward() keys and values of it.
  virtual void read(Ops &, State &) const {}
  /// Runs on every thread of the team. Only `layers` take part. Marks where it is in each of them, and ends with
  /// head().
  virtual void forward(Ops &op, State &state, const Output &output) const = 0;
  /// What becomes of the last layer's residual, of which the last `output.n` rows are wanted.
  virtual void head(Ops &op, State &state, Rows x, const Output &output) const = 0;

  LayerRange layers; // set by the model
};

/// The family of an architecture; SLM_ERR_UNSUPPORTED lists those there are.
Status new_family(std::string_view architecture, std::unique_ptr<Family> &out);

std::unique_ptr<Family> new_llama();
std::unique_ptr<Family> new_qwen2();
std::unique_ptr<Family> new_qwen3();
std::unique_ptr<Family> new_smollm3();
std::unique_ptr<Family> new_phi3();
std::unique_ptr<Family> new_granite();
std::unique_ptr<Family> new_olmo2();
std::unique_ptr<Family> new_mistral3();
std::unique_ptr<Family> new_gemma();
std::unique_ptr<Family> new_gemma2();
std::unique_ptr<Family> new_gemma3();
std::unique_ptr<Family> new_gemma3n();
std::unique_ptr<Family> new_gemma4();
std::unique_ptr<Family> new_gemma_embedding();
std::unique_ptr<Family> new_gemma_embedding2();
std::unique_ptr<Family> new_vaultgemma();
std::unique_ptr<Family> new_bert();
std::unique_ptr<Family> new_recurrentgemma();
std::unique_ptr<Family> new_lfm2();
std::unique_ptr<Family> new_qwen35();
std::unique_ptr<Family> new_t5gemma2();

} // namespace slm
