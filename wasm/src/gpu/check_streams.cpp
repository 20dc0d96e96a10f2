// check_streams.cpp: the self-test of what models with several residuals add, which are
// made as long as the first, mixed and corrected, and of gates that let little through.
#include <cmath>
#include <limits>

#include "running.h"

namespace slm {
namespace {

constexpr uint32_t kStreams = Ops::kStreams, kTokens = 2, kWidth = 3 * 32;

} // namespace

Status start_streams(Checks::Running &r, float cut) {
  uint64_t state = 1;
  SLM_TRY(r.weights.place(r.norm, kWidth, "a self-test"));
  SLM_TRY(r.weights.placed());
  for (uint32_t i = 0; i < kWidth; i++)
    r.norm[i] = 1 + next_float(state) / 2;
  SLM_TRY(r.weights.packed());
  std::vector<float> x[kStreams];
  for (uint32_t s = 0; s < kStreams; s++)
    x[s] = draw(kTokens * kWidth, float(1 + s), state);
  const std::vector<float> mixing = draw(kTokens * kStreams * kStreams, 0.5f, state),
                           correction = draw(kTokens * kStreams, 0.5f, state), y = draw(kTokens * kWidth, 2, state),
                           up = draw(kTokens * kWidth, 2, state);

  Ops::Streams streams;
  for (uint32_t s = 0; s < kStreams; s++)
    streams[s] = r.upload(x[s], kWidth);
  const Rows computed = r.upload(y, kWidth), factors = r.upload(up, kWidth);
  const Rows mix = r.upload(mixing, kStreams * kStreams), correct = r.upload(correction, kStreams);
  r.scratch.up = Buffer(kTokens * stride_of(kWidth) * sizeof(float));
  GpuOps op({nullptr, kTokens, 0}, r.scratch, r.weights, nullptr, false);
  for (uint32_t s = 1; s < kStreams; s++)
    op.match(streams[0], streams[s]);
  op.mix(mix, streams);
  op.correct(correct, r.norm, computed, streams);
  op.sparse_gelu(factors, cut, computed);

  for (uint32_t t = 0; t < kTokens; t++) {
    double before[kStreams][kWidth], after[kStreams][kWidth], gates[kWidth], mean = 0, variance = 0;
    for (uint32_t s = 0; s < kStreams; s++) {
      double is = 0, wanted = 0;
      for (uint32_t i = 0; i < kWidth; i++) {
        const double first = double(x[0][t * kWidth + i]), own = double(x[s][t * kWidth + i]);
        wanted += first * first, is += own * own;
      }
      for (uint32_t i = 0; i < kWidth; i++)
        before[s][i] = double(x[s][t * kWidth + i]) * std::sqrt(wanted / is);
    }
    for (uint32_t i = 0; i < kWidth; i++) {
      for (uint32_t s = 0; s < kStreams; s++) {
        after[s][i] = before[s][i];
        for (uint32_t from = 0; from < kStreams; from++)
          after[s][i] += double(mixing[(t * kStreams + s) * kStreams + from]) * before[from][i];
      }
      const double innovation = double(y[t * kWidth + i]) - after[0][i];
      for (uint32_t s = 0; s < kStreams; s++)
        after[s][i] += (1 + double(correction[t * kStreams + s])) * innovation;
      gates[i] = after[0][i] * double(r.norm[i]);
      mean += gates[i] / kWidth;
    }
    for (const double gate : gates)
      variance += (gate - mean) * (gate - mean) / kWidth;
    for (const auto &stream : after)
      r.expected.insert(r.expected.end(), stream, stream + kWidth);
    for (uint32_t i = 0; i < kWidth; i++) {
      const double open = std::fmax(gates[i] - mean - double(cut) * std::sqrt(variance), 0);
      r.expected.push_back(float(gelu(open) * double(up[t * kWidth + i])));
    }
  }
  r.found.assign(r.expected.size(), std::numeric_limits<float>::quiet_NaN());
  for (uint32_t t = 0; t < kTokens; t++) {
    for (const Rows &stream : streams)
      r.read(stream, t);
    r.read(computed, t);
  }
  gpu_submit();
  return SLM_OK;
}

} // namespace slm
