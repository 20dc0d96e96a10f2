// running.h: what a self-test has on the device until its result has come, and
// the numbers that it is made of. The tests themselves are checks.cpp (products),
// check_attention.cpp, check_recurrence.cpp, check_streams.cpp, check_encoder.cpp and check_drawing.cpp.
#pragma once

#include <cmath>
#include <vector>

#include "../checks.h"
#include "ops.h"

namespace slm {

inline uint32_t next_bits(uint64_t &state) { // PCG (O'Neill 2014)
  const uint64_t old = state;
  state = old * 6364136223846793005u + 1442695040888963407u;
  const uint32_t x = static_cast<uint32_t>((old >> 18 ^ old) >> 27), r = old >> 59;
  return x >> r | x << (-r & 31);
}
/// In [-1, 1).
inline float next_float(uint64_t &state) { return float(int32_t(next_bits(state))) * 0x1p-31f; }
/// In [-scale, scale).
inline std::vector<float> draw(size_t n, float scale, uint64_t &state) {
  std::vector<float> numbers(n);
  for (float &x : numbers)
    x = scale * next_float(state);
  return numbers;
}

inline double gelu(double x) {
  return x / 2 * (1 + std::tanh(std::sqrt(2 / 3.14159265358979324) * (x + 0.044715 * x * x * x)));
}

/// Rows that differ; a matrix of more repeats them, so that they need not be computed here.
inline constexpr uint32_t kPattern = 36;

struct Checks::Running {
  WeightStore weights;
  Linear first, second;
  float *norm = nullptr;
  Convolution convolution; // alone, or of a recurrence, and its
  float *decay = nullptr;
  Scratch scratch;
  std::vector<Buffer> buffers;
  Rows outs[2]; // of a recurrence: of the first tokens, and of the one behind them
  std::vector<float> expected, found;
  std::vector<int32_t> drawn, right; // tokens
  double allowance = 1;              // errors count for as much less; a cache of f16 rounds

  /// A buffer with `values`, which are (n, width).
  Rows upload(const std::vector<float> &values, uint32_t width);
  /// A buffer of zeros for `n` rows.
  Rows room(uint32_t n, uint32_t width);
  /// Packs `w` with every bit pattern that its quants and small scales can have; `values` becomes (kPattern, columns),
  /// which the rows of `w` repeat.
  Status pack(const Matrix &w, uint64_t seed, std::vector<float> &values);
  /// Reads row `row` behind what was found so far, to be held against as much of `expected`. `found` has its
  /// whole size before the first.
  void read(Rows rows, uint32_t row);

private:
  size_t n_read_ = 0;
};

/// Hands the self-test of drawing to the device.
Status start_drawing(Checks::Running &running);

/// What a model asks of a device, one of each kind.
struct Kinds {
  /// A dispatch of a single token: `units` rows of one product or of several, or gate and up.
  struct Product {
    TensorType type;
    uint32_t columns, units;
    bool gated;
  };
  /// A convolution, gates of blocks and what recurs behind them.
  struct Recurrence {
    TensorType type;
    uint32_t block, n_taps;
  };
  /// What becomes of the rows of a model that embeds texts, on their way to one.
  struct Encoder {
    uint32_t width = 0; // 0: it embeds none
    bool layernorm = false, gelu = false, rmsnorm = false;
    Pooling pooling = Pooling::Mean;
  };
  /// What an encoder of pictures does besides products and attention.
  struct Sight {
    Pixels pixels;                  // how they are normalized
    uint32_t patch = 0;             // its side in pixels
    uint32_t width = 0, factor = 1; // of rows; of those, so many rows and columns become one
    bool layernorm = false, gelu = false, clips = false, merges = false;
    Merge how = Merge::Concatenation; // also of rows that stay as they are
  };
  Encoder encoder;
  Sight sight;
  std::vector<Recurrence> recurrences;
  std::vector<Convolution> convolutions; // that stand alone
  std::vector<DeltaRule> delta_rules;
  std::vector<StateSpace> state_spaces;
  bool streams = false;          // several residuals, and
  float cut = 0;                 // gates that let little through, the last ones'; see Ops::sparse_gelu
  std::vector<Product> products; // those that are cut otherwise are other kinds
  std::vector<AttentionSpec> attention;
};
Kinds kinds_of(const LoadedModel &model);
Kinds kinds_of(const Vision &vision);

/// Hands the self-test of one of them to the device.
Status start_attention(Checks::Running &running, const WeightStore &weights, bool f16_cache, AttentionSpec spec);
Status start_recurrence(Checks::Running &running, const Kinds::Recurrence &kind);
Status start_encoder(Checks::Running &running, const Kinds::Encoder &kind);
Status start_picture(Checks::Running &running, const Kinds::Sight &kind);
Status start_convolution(Checks::Running &running, const Convolution &kind);
/// The gates of attention, too, which models that have such a rule have as well.
Status start_delta_rule(Checks::Running &running, const DeltaRule &kind);
Status start_state_space(Checks::Running &running, const StateSpace &kind);
Status start_streams(Checks::Running &running, float cut);

} // namespace slm
