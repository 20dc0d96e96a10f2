// sampler.cpp: see sampler.h.
#include "sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "exp.h"

namespace slm {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
/// Of all biases of a token together, which are no fault of the logits.
constexpr float kMostBias = 1e30f;

bool before(const Candidate &a, const Candidate &b) { return a.logit != b.logit ? a.logit > b.logit : a.id < b.id; }

bool by_id(const Adjustment &a, const Adjustment &b) { return a.id < b.id; }

/// Sorts by id; of those with the same one the first `takes` the others.
template <class Takes> void merge(std::vector<Adjustment> &list, Takes takes) {
  std::make_heap(list.begin(), list.end(), by_id); // std::sort is 5 KB of code
  std::sort_heap(list.begin(), list.end(), by_id);
  size_t n = 0;
  for (const Adjustment &a : list)
    if (n > 0 && list[n - 1].id == a.id)
      takes(list[n - 1], a);
    else
      list[n++] = a;
  list.resize(n, {});
}

struct ParamRange {
  std::string_view name;
  double low, high, otherwise;
};
constexpr ParamRange kRanges[] = {
    {"temperature", 0, 100, 0.8},
    {"top_k", 0, 1u << 30, 40},
    {"top_p", 0, 1, 0.95},
    {"min_p", 0, 1, 0.05},
    {"repeat_penalty", 0.01, 100, 1},
    {"presence_penalty", -100, 100, 0},
    {"frequency_penalty", -100, 100, 0},
    {"penalty_last_n", 0, 1u << 30, 64},
    {"seed", 0, 9007199254740992.0, 0},
    {"ignore_eog", 0, 1, 0},
};

} // namespace

void top_k(const float *logits, uint32_t n, uint32_t k, std::vector<Candidate> &out) {
  // A heap of the best k so far, its worst on top; most logits fail one comparison.
  out.clear();
  float worst = kMinusInfinity;
  for (uint32_t i = 0; i < n; i++) {
    if (out.size() == k && !(logits[i] > worst)) continue;
    if (!(logits[i] >= kMinusInfinity)) continue; // NaN
    if (out.size() == k) {
      std::pop_heap(out.begin(), out.end(), before);
      out.pop_back();
    }
    out.push_back({static_cast<int32_t>(i), logits[i]});
    std::push_heap(out.begin(), out.end(), before);
    worst = out.front().logit;
  }
  std::sort_heap(out.begin(), out.end(), before);
}

float log_sum_exp(const float *logits, uint32_t n) {
  using namespace simd;
  float max = kMinusInfinity;
  for (uint32_t i = 0; i < n; i++)
    max = logits[i] > max ? logits[i] : max;
  double sum = 0; // the tail of a large vocabulary is lost in float32
  for (uint32_t i = 0; i < n; i += 4) {
    float part[4] = {kMinusInfinity, kMinusInfinity, kMinusInfinity, kMinusInfinity};
    std::memcpy(part, logits + i, (n - i < 4 ? n - i : 4) * sizeof(float));
    sum += double(sum_f32(exp_f32(sub_f32(load(part), splat_f32(max)))));
  }
  return max + float(std::log(sum));
}

void Sampler::reset() {
  for (uint32_t i = 0; i < kParams; i++)
    values_[i] = kRanges[i].otherwise;
  biases_.clear();
  state_ = 0;
}

Status Sampler::set(slm_param param, double value) {
  if (param < 0 || static_cast<uint32_t>(param) >= kParams)
    return fail(SLM_ERR_INVALID_ARGUMENT, "there is no sampling parameter number ", int32_t(param));
  const ParamRange &range = kRanges[param];
  if (!(value >= range.low && value <= range.high))
    return fail(SLM_ERR_INVALID_ARGUMENT, range.name, " is out of range; expected a number between ",
                int64_t(range.low), " and ", int64_t(range.high));
  values_[param] = value;
  if (param == SLM_PARAM_SEED) state_ = static_cast<uint64_t>(value);
  return SLM_OK;
}

double Sampler::next_random() { // SplitMix64 (Steele, Lea and Flood 2014)
  uint64_t z = state_ += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return double((z ^ z >> 31) >> 11) * 0x1p-53;
}

void Sampler::adjust(std::span<const int32_t> history, std::span<const int32_t> forbidden,
                     std::vector<Adjustment> &out) const {
  const double repeat = values_[SLM_PARAM_REPEAT_PENALTY], presence = values_[SLM_PARAM_PRESENCE_PENALTY],
               frequency = values_[SLM_PARAM_FREQUENCY_PENALTY];
  const auto last = static_cast<size_t>(values_[SLM_PARAM_PENALTY_LAST_N]);
  out.clear();
  if (repeat != 1 || presence != 0 || frequency != 0)
    for (const int32_t id : history.last(std::min(last, history.size())))
      out.push_back({.id = id, .repeat = float(repeat), .subtract = float(presence + frequency)});
  merge(out, [&](Adjustment &a, const Adjustment &) { a.subtract += float(frequency); });
  out.insert(out.end(), biases_.begin(), biases_.end());
  for (const int32_t id : forbidden)
    out.push_back({.id = id, .add = kMinusInfinity});
  merge(out, [](Adjustment &a, const Adjustment &b) {
    a.repeat *= b.repeat, a.subtract += b.subtract, a.add = std::min(a.add + b.add, kMostBias);
  });
}

bool Sampler::draw(std::span<const int32_t> history, std::span<const int32_t> forbidden, Draw &out) {
  const double k = values_[SLM_PARAM_TEMPERATURE] == 0 ? 1 : values_[SLM_PARAM_TOP_K];
  if (k == 0 || k > Draw::kMostCandidates) return false;
  adjust(history, forbidden, out.adjustments);
  if (out.adjustments.size() > Draw::kMostAdjustments) return false;
  out.temperature = float(values_[SLM_PARAM_TEMPERATURE]);
  out.top_p = float(values_[SLM_PARAM_TOP_P]);
  out.min_p = float(values_[SLM_PARAM_MIN_P]);
  out.random = float(next_random());
  out.top_k = static_cast<uint32_t>(k);
  return true;
}

Status not_numbers() {
  return fail(SLM_ERR_BAD_FILE, "there are logits that are not numbers, so no token can be chosen; the weights may be "
                                "damaged");
}

Status nothing_left() {
  return fail(SLM_ERR_INVALID_ARGUMENT, "no token can be chosen, because logit_bias forbids every one");
}

Status Sampler::sample(const float *logits, std::span<const int32_t> history, std::span<const int32_t> forbidden,
                       int32_t &token) {
  const double random = next_random();
  logits_.assign(logits, logits + n_vocab_);
  uint32_t wrong = 0;
  for (const float logit : logits_)
    wrong += !std::isfinite(logit);
  if (wrong > 0) return not_numbers();
  adjust(history, forbidden, adjustments_);
  for (const Adjustment &a : adjustments_) {
    float &logit = logits_[static_cast<size_t>(a.id)];
    logit = (logit > 0 ? logit / a.repeat : logit * a.repeat) - a.subtract + a.add;
  }

  const double temperature = values_[SLM_PARAM_TEMPERATURE], top_p = values_[SLM_PARAM_TOP_P],
               min_p = values_[SLM_PARAM_MIN_P];
  uint32_t k = temperature == 0 ? 1 : static_cast<uint32_t>(values_[SLM_PARAM_TOP_K]);
  if (k == 0 || k > n_vocab_) k = n_vocab_;
  top_k(logits_.data(), n_vocab_, k, candidates_);
  while (!candidates_.empty() && candidates_.back().logit == kMinusInfinity)
    candidates_.pop_back();
  if (candidates_.empty()) return nothing_left();

  // Probabilities of what top-k left, relative to the first; top-p takes the
  // shortest prefix of at least that mass, min-p drops what is far below the first.
  const float best = candidates_[0].logit;
  double total = 0;
  for (const Candidate &c : candidates_)
    total += std::exp(double(c.logit - best));
  size_t keep = candidates_.size();
  if (top_p < 1) {
    double mass = 0;
    for (keep = 0; keep < candidates_.size() && (keep == 0 || mass < top_p * total); keep++)
      mass += std::exp(double(candidates_[keep].logit - best));
  }
  while (keep > 1 && std::exp(double(candidates_[keep - 1].logit - best)) < min_p)
    keep--;
  candidates_.resize(keep);

  token = candidates_[0].id;
  if (temperature == 0 || keep == 1) return SLM_OK;
  total = 0;
  for (const Candidate &c : candidates_)
    total += std::exp(double(c.logit - best) / temperature);
  double at = random * total;
  for (const Candidate &c : candidates_) {
    token = c.id;
    at -= std::exp(double(c.logit - best) / temperature);
    if (at < 0) break;
  }
  return SLM_OK;
}

} // namespace slm
