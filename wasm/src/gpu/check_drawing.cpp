// check_drawing.cpp: the self-test of drawing: tokens of seeded logits, with ties
// among them, against those of the CPU's sampler. No known answer reaches it.
#include "../sampler.h"
#include "drawing.h"
#include "running.h"

namespace slm {
namespace {

constexpr uint32_t kLogits = 9001; // three slices
constexpr int32_t kHistory[] = {17, 4099, 17, 9000, 3}, kForbidden[] = {8192};

struct Setting {
  double temperature, top_k, top_p, min_p, repeat, presence, frequency, seed;
};
constexpr Setting kSettings[] = {
    {0, 0, 1, 0, 1, 0, 0, 0},
    {0.8, 40, 0.95, 0.05, 1.1, 0.5, 0.25, 1},
    {5, 128, 1, 0, 1, 0, 0, 2},
    {5, 100, 0.7, 0.01, 1, 0, 0, 3},
};

Status set(Sampler &sampler, const Setting &s) {
  SLM_TRY(sampler.set(SLM_PARAM_TEMPERATURE, s.temperature));
  SLM_TRY(sampler.set(SLM_PARAM_TOP_K, s.top_k));
  SLM_TRY(sampler.set(SLM_PARAM_TOP_P, s.top_p));
  SLM_TRY(sampler.set(SLM_PARAM_MIN_P, s.min_p));
  SLM_TRY(sampler.set(SLM_PARAM_REPEAT_PENALTY, s.repeat));
  SLM_TRY(sampler.set(SLM_PARAM_PRESENCE_PENALTY, s.presence));
  SLM_TRY(sampler.set(SLM_PARAM_FREQUENCY_PENALTY, s.frequency));
  SLM_TRY(sampler.set(SLM_PARAM_SEED, s.seed));
  sampler.bias(kHistory[0], 3);
  return SLM_OK;
}

} // namespace

Status start_drawing(Checks::Running &r) {
  std::vector<float> logits(kLogits);
  uint64_t state = 5;
  for (float &logit : logits)
    logit = float(int32_t(next_float(state) * 64)) / 8;
  logits[kForbidden[0]] = logits[kHistory[0]] = 8;
  Buffer row(kLogits * sizeof(float)), ids(4);
  Drawing drawing(kLogits);
  const size_t n = sizeof kSettings / sizeof *kSettings;
  r.drawn.assign(n, -1), r.right.assign(n, -1);
  for (size_t i = 0; i < n; i++) {
    Sampler device(kLogits), here(kLogits);
    Draw draw;
    SLM_TRY(set(device, kSettings[i]));
    SLM_TRY(set(here, kSettings[i]));
    device.draw(kHistory, kForbidden, draw);
    SLM_TRY(here.sample(logits.data(), kHistory, kForbidden, r.right[i]));
    gpu_upload(row.handle(), 0, logits.data(), kLogits * sizeof(float)); // a draw adjusts them
    drawing.encode(draw, row, 0, ids);
    gpu_read(ids.handle(), 0, 4, &r.drawn[i]);
  }
  gpu_submit();
  r.buffers.push_back(std::move(row));
  r.buffers.push_back(std::move(ids));
  return SLM_OK;
}

} // namespace slm
