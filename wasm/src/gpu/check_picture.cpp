// check_picture.cpp: the self-test of what only encoders of pictures do: cutting
// pixels into patches, and the rows behind them on their way to a language model:
// LayerNorm, GELU by tanh, clipping and the merging of squares of rows, as far as
// the encoder has them.
#include <cmath>
#include <limits>

#include "running.h"

namespace slm {
namespace {

constexpr uint32_t kAcross = 2; // patches, and squares that are merged, in a row of them
constexpr float kLow = -0.25f, kHigh = 0.75f;

void expect_patches(const Kinds::Sight &kind, const std::vector<uint8_t> &rgb, std::vector<float> &out) {
  const uint32_t patch = kind.patch, side = kind.pixels.width;
  for (uint32_t at = 0; at < kAcross * kAcross; at++)
    for (uint32_t colour = 0; colour < 3; colour++)
      for (uint32_t y = 0; y < patch; y++)
        for (uint32_t x = 0; x < patch; x++) {
          const uint32_t pixel = (at / kAcross * patch + y) * side + at % kAcross * patch + x;
          const double value = double(rgb[pixel * 3 + colour]) / 255;
          out.push_back(float((value - double(kind.pixels.mean[colour])) / double(kind.pixels.deviation[colour])));
        }
}

void prepare(const Kinds::Sight &kind, const LayerNorm &norm, const float *x, double *out) {
  const uint32_t width = kind.width;
  double mean = 0, squares = 0;
  for (uint32_t c = 0; c < width; c++)
    mean += double(x[c]) / width;
  for (uint32_t c = 0; c < width; c++)
    squares += (double(x[c]) - mean) * (double(x[c]) - mean) / width;
  for (uint32_t c = 0; c < width; c++) {
    double v = double(x[c]);
    if (kind.layernorm)
      v = (v - mean) / std::sqrt(squares + double(norm.epsilon)) * double(norm.weight[c]) + double(norm.bias[c]);
    if (kind.gelu) v = v / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
    if (kind.clips) v = std::fmin(std::fmax(v, double(kLow)), double(kHigh));
    out[c] = v;
  }
}

/// The rows of each square, one behind another; or their mean.
void expect_merged(const Kinds::Sight &kind, const std::vector<double> &rows, std::vector<float> &out) {
  const uint32_t factor = kind.factor, side = kAcross * factor, width = kind.width;
  for (uint32_t at = 0; at < kAcross * kAcross; at++) {
    std::vector<double> mean(width);
    for (uint32_t i = 0; i < factor * factor; i++) {
      const uint32_t row = (at / kAcross * factor + i / factor) * side + at % kAcross * factor + i % factor;
      for (uint32_t c = 0; c < width; c++) {
        const double v = rows[size_t(row) * width + c];
        if (kind.how == Merge::Mean)
          mean[c] += v / (factor * factor);
        else
          out.push_back(float(v));
      }
    }
    if (kind.how == Merge::Mean) out.insert(out.end(), mean.begin(), mean.end());
  }
}

} // namespace

Status start_picture(Checks::Running &r, const Kinds::Sight &wanted) {
  Kinds::Sight kind = wanted;
  const uint32_t width = kind.width, columns = 3 * kind.patch * kind.patch, n = kAcross * kAcross;
  const uint32_t side = kAcross * kind.factor, n_rows = side * side;
  uint64_t state = 1;
  LayerNorm norm{.epsilon = 1e-6f};
  SLM_TRY(r.weights.place(norm.weight, width, "a self-test"));
  SLM_TRY(r.weights.place(norm.bias, width, "a self-test"));
  SLM_TRY(r.weights.placed());
  for (uint32_t c = 0; c < width; c++)
    norm.weight[c] = 1 + next_float(state) / 2, norm.bias[c] = next_float(state) / 2;
  SLM_TRY(r.weights.packed());

  // A strip of pixels is behind the last whole patch.
  kind.pixels.width = kind.pixels.height = kAcross * kind.patch + 1;
  std::vector<uint8_t> rgb((size_t(kind.pixels.width) * kind.pixels.height * 3 + 3) / 4 * 4);
  for (uint8_t &v : rgb)
    v = static_cast<uint8_t>(next_bits(state));
  r.buffers.emplace_back(rgb.size());
  gpu_upload(r.buffers.back().handle(), 0, rgb.data(), static_cast<uint32_t>(rgb.size()));
  kind.pixels.rgb = name_of<uint8_t>(r.buffers.back().handle());
  const Rows cut = r.room(n, columns);
  GpuOps({nullptr, n, 0}, r.scratch, r.weights, nullptr, false).patches(kind.pixels, kind.patch, cut);

  std::vector<float> x(size_t(n_rows) * width);
  for (float &v : x)
    v = 0.5f + next_float(state); // whose mean is not zero
  const Rows rows = r.upload(x, width);
  GpuOps op({nullptr, n_rows, 0}, r.scratch, r.weights, nullptr, false);
  if (kind.layernorm) op.layernorm(norm, rows, rows);
  if (kind.gelu) op.gelu(rows, GeluForm::Tanh);
  if (kind.clips) op.clip(rows, kLow, kHigh);
  Rows out = rows;
  if (kind.merges) {
    out = r.room(n, width * (kind.how == Merge::Mean ? 1 : kind.factor * kind.factor));
    op.merge_rows(rows, side, kind.factor, kind.how, out);
  }

  expect_patches(kind, rgb, r.expected);
  std::vector<double> prepared(x.size());
  for (uint32_t t = 0; t < n_rows; t++)
    prepare(kind, norm, &x[size_t(t) * width], &prepared[size_t(t) * width]);
  expect_merged(kind, prepared, r.expected);
  r.found.assign(r.expected.size(), std::numeric_limits<float>::quiet_NaN());
  for (const Rows &found : {cut, out})
    for (uint32_t t = 0; t < n; t++)
      r.read(found, t);
  gpu_submit();
  return SLM_OK;
}

} // namespace slm
