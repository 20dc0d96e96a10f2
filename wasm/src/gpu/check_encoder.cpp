// check_encoder.cpp: the self-test of what models that embed texts do to whole
// rows: LayerNorm, GELU by the error function, and one row for all of them.
#include <cmath>
#include <limits>

#include "running.h"

namespace slm {

Status start_encoder(Checks::Running &r, const Kinds::Encoder &kind) {
  constexpr uint32_t kTokens = 3;
  constexpr float kEpsilon = 1e-6f;
  const uint32_t width = kind.width;
  uint64_t state = 1;
  LayerNorm norm{.epsilon = kEpsilon};
  SLM_TRY(r.weights.place(norm.weight, width, "a self-test"));
  SLM_TRY(r.weights.place(norm.bias, width, "a self-test"));
  SLM_TRY(r.weights.place(r.norm, width, "a self-test"));
  SLM_TRY(r.weights.placed());
  for (uint32_t c = 0; c < width; c++) {
    norm.weight[c] = 1 + next_float(state) / 2, norm.bias[c] = next_float(state) / 2;
    r.norm[c] = 1 + next_float(state) / 2;
  }
  SLM_TRY(r.weights.packed());
  std::vector<float> x(size_t(kTokens) * width);
  for (float &v : x)
    v = 0.5f + next_float(state); // whose mean is not zero

  r.scratch.normed = Buffer(uint64_t(kTokens) * stride_of(width) * 4);
  GpuOps op({nullptr, kTokens, 0}, r.scratch, r.weights, nullptr, false);
  const Rows rows = r.upload(x, width), out = r.room(1, width);
  if (kind.layernorm) op.layernorm(norm, rows, rows);
  if (kind.gelu) op.gelu(rows, GeluForm::Erf);
  op.pool({rows, kind.rmsnorm ? r.norm : nullptr, kEpsilon}, kind.pooling, out);

  std::vector<double> pooled(width);
  for (uint32_t t = 0; t < kTokens; t++) {
    const bool counts = kind.pooling == Pooling::Mean || t == (kind.pooling == Pooling::First ? 0 : kTokens - 1);
    if (!counts) continue;
    std::vector<double> row(x.begin() + ptrdiff_t(t) * width, x.begin() + ptrdiff_t(t + 1) * width);
    double mean = 0, squares = 0;
    for (const double v : row)
      mean += v / width;
    for (const double v : row)
      squares += (v - mean) * (v - mean) / width;
    if (kind.layernorm)
      for (uint32_t c = 0; c < width; c++)
        row[c] =
            (row[c] - mean) / std::sqrt(squares + double(kEpsilon)) * double(norm.weight[c]) + double(norm.bias[c]);
    if (kind.gelu)
      for (double &v : row)
        v = v / 2 * (1 + std::erf(v / std::sqrt(2.0)));
    squares = 0;
    for (const double v : row)
      squares += v * v / width;
    if (kind.rmsnorm)
      for (uint32_t c = 0; c < width; c++)
        row[c] *= double(r.norm[c]) / std::sqrt(squares + double(kEpsilon));
    for (uint32_t c = 0; c < width; c++)
      pooled[c] += row[c] / (kind.pooling == Pooling::Mean ? kTokens : 1);
  }
  r.expected.assign(pooled.begin(), pooled.end());
  r.found.assign(width, std::numeric_limits<float>::quiet_NaN());
  r.read(out, 0);
  gpu_submit();
  return SLM_OK;
}

} // namespace slm
