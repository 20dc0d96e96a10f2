// checks.h: proofs that a backend computes what it should, before a model is
// used on it: products of each of its tensor types, its embedding, its kinds of
// attention and of recurrent layers, and the drawing of tokens, over seeded
// numbers, against plain arithmetic. gpu/ has them; the CPU's kernels are proved by this project's
// tests, for they run on no driver.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "loaded_model.h"
#include "vision.h"

namespace slm {

class Checks {
public:
  /// Of a model that is laid out.
  explicit Checks(const LoadedModel &model);
  /// Of an encoder of pictures that is laid out, and outlives this: what a device needs for it beside its model.
  explicit Checks(const Vision &vision);
  ~Checks();

  uint32_t count() const;
  /// "matvec Q4_K"
  const char *name(uint32_t i);
  /// Hands check `i` to the device.
  Status start(uint32_t i);
  /// Its largest error over the norm of the right values, once the host has waited; infinite for what is no number.
  double error();
  /// What a right device stays below.
  static double bound();

  struct Running; // of a check that was started

private:
  struct Case;
  const WeightStore &weights_; // of what is checked
  bool f16_cache_;
  std::vector<Case> cases_;
  std::unique_ptr<Running> running_;
  std::string name_;
};

} // namespace slm
