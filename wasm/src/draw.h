// draw.h: what a token is drawn by, as the sampler hands it to a device that keeps
// the logits to itself: parameters, one random number, and what is to be done to
// which logits first.
#pragma once

#include <cstdint>
#include <vector>

namespace slm {

/// What becomes of one token's logit, in this order; adjust.wgsl's Entry.
struct Adjustment {
  int32_t id;
  float repeat = 1;   // divides a logit above zero, multiplies another
  float subtract = 0; // penalties
  float add = 0;      // a bias; minus infinity forbids the token
};

struct Draw {
  float temperature, top_p, min_p;
  float random; // in [0, 1]
  uint32_t top_k;
  std::vector<Adjustment> adjustments; // by id, each once

  /// What a device has room for; whoever wants more of it draws from the logits themselves.
  static constexpr uint32_t kMostCandidates = 128, kMostAdjustments = 1024;
};

} // namespace slm
