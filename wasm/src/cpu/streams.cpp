// streams.cpp: the operations of models with several residuals on the CPU, and of
// feed-forward networks that let few gates through; see ../ops.h.
#include <cmath>

#include "kernels/elementwise.h"
#include "ops.h"

namespace slm {
namespace {

double squares_of(const float *x, uint32_t n) {
  double sum = 0;
  for (uint32_t i = 0; i < n; i++)
    sum += double(x[i]) * double(x[i]);
  return sum;
}

} // namespace

void CpuOps::mix(Rows coefficients, const Streams &streams) {
  const uint32_t width = streams[0].width;
  cut(batch.n, [&](Range tokens) {
    for (uint32_t t = tokens.begin; t < tokens.end; t++) {
      const float *c = coefficients.data + size_t(t) * coefficients.width;
      for (uint32_t i = 0; i < width; i++) {
        float before[kStreams];
        for (uint32_t s = 0; s < kStreams; s++)
          before[s] = streams[s].data[size_t(t) * width + i];
        for (uint32_t j = 0; j < kStreams; j++) {
          float sum = before[j];
          for (uint32_t s = 0; s < kStreams; s++)
            sum += before[s] * c[j * kStreams + s];
          streams[j].data[size_t(t) * width + i] = sum;
        }
      }
    }
  });
}

void CpuOps::correct(Rows coefficients, const float *scale, Rows y, const Streams &streams) {
  const uint32_t width = y.width;
  cut(batch.n, [&](Range tokens) {
    for (uint32_t t = tokens.begin; t < tokens.end; t++) {
      const float *c = coefficients.data + size_t(t) * coefficients.width;
      for (uint32_t i = 0; i < width; i++) {
        const size_t at = size_t(t) * width + i;
        const float innovation = y.data[at] - streams[0].data[at];
        for (uint32_t j = 0; j < kStreams; j++)
          streams[j].data[at] += (1 + c[j]) * innovation;
        y.data[at] = streams[0].data[at] * scale[i];
      }
    }
  });
}

void CpuOps::match(Rows x, Rows y) {
  const uint32_t width = x.width;
  cut(batch.n, [&](Range tokens) {
    for (uint32_t t = tokens.begin; t < tokens.end; t++) {
      float *row = y.data + size_t(t) * width;
      const double wanted = squares_of(x.data + size_t(t) * width, width), is = squares_of(row, width);
      slm::scale(row, static_cast<float>(std::sqrt(wanted / std::fmax(is, double(kLeastSquare) * width))), width);
    }
  });
}

void CpuOps::sparse_gelu(Rows up, float cut_at, Rows x) {
  const uint32_t width = x.width;
  cut(batch.n, [&](Range tokens) {
    for (uint32_t t = tokens.begin; t < tokens.end; t++) {
      float *row = x.data + size_t(t) * width;
      double mean = 0, variance = 0;
      for (uint32_t i = 0; i < width; i++)
        mean += double(row[i]) / width;
      for (uint32_t i = 0; i < width; i++)
        variance += (double(row[i]) - mean) * (double(row[i]) - mean) / width;
      const float least = static_cast<float>(mean + double(cut_at) * std::sqrt(variance));
      for (uint32_t i = 0; i < width; i++)
        row[i] = std::fmax(row[i] - least, 0.f);
      gelu_multiply(row, up.data + size_t(t) * width, width);
    }
  });
}

} // namespace slm
