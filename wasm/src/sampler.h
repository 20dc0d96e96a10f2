// sampler.h: from logits to a token. The order is llama.cpp's: penalties and
// biases, then top-k, top-p, min-p, temperature. Same seed, same tokens. Knows
// no text and no cache.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "draw.h"
#include "error.h"

namespace slm {

struct Candidate {
  int32_t id;
  float logit;
};

/// The `k` largest of `n` logits (k at least 1), largest first; of equal ones
/// the lower id.
void top_k(const float *logits, uint32_t n, uint32_t k, std::vector<Candidate> &out);

/// Why nothing was drawn: there were logits that are no numbers, or none that may be chosen.
Status not_numbers();
Status nothing_left();

/// log(sum(exp(logits)))
float log_sum_exp(const float *logits, uint32_t n);

class Sampler {
public:
  explicit Sampler(uint32_t n_vocab) : n_vocab_(n_vocab) { reset(); }

  /// Defaults, no biases, a new run of the seed.
  void reset();
  Status set(slm_param param, double value);
  void bias(int32_t token, float amount) { biases_.push_back({.id = token, .add = amount}); }
  bool ignores_eog() const { return values_[SLM_PARAM_IGNORE_EOG] != 0; }

  /// `history` is everything before the new token, the prompt included; the
  /// tokens of `forbidden` are never chosen. Fails when nothing is left, and
  /// when there is a logit that is no number.
  Status sample(const float *logits, std::span<const int32_t> history, std::span<const int32_t> forbidden,
                int32_t &token);
  /// The same for a device to do; false when it is more than one can, and nothing has changed then.
  bool draw(std::span<const int32_t> history, std::span<const int32_t> forbidden, Draw &out);
  /// Goes on as if a token had been sampled: each takes one random number, needed or not.
  void skip() { next_random(); }

private:
  static constexpr uint32_t kParams = SLM_PARAM_IGNORE_EOG + 1;

  /// Penalties, biases and what is forbidden, as one entry for each token that they concern.
  void adjust(std::span<const int32_t> history, std::span<const int32_t> forbidden, std::vector<Adjustment> &out) const;
  double next_random(); // in [0, 1)

  uint32_t n_vocab_;
  double values_[kParams];
  std::vector<Adjustment> biases_;
  uint64_t state_ = 0;
  std::vector<float> logits_; // adjusted
  std::vector<Adjustment> adjustments_;
  std::vector<Candidate> candidates_;
};

} // namespace slm
