// bench.cpp: see bench.h. The shape is a small model's feed-forward layer, so
// that its data lie in the caches as they do in use.
#include "bench.h"

#include <cstring>

#include "../../memory.h"
#include "matmul.h"

namespace slm {

double bench_dot(int form, uint32_t rounds) {
  constexpr uint32_t kRowsUsed = 256, kColumns = 1024, kTokens = 32;
  Matrix w;
  w.kernel = matmul_kernel(TensorType::Q4_0);
  w.rows = kRowsUsed;
  w.columns = kColumns;

  const size_t w_bytes = w.groups() * group_bytes(w), y_bytes = size_t(kTokens) * kRowsUsed * sizeof(float);
  Block weights(allocate(w_bytes)), x(allocate(quantized_rows_bytes(kTokens, kColumns))), y(allocate(y_bytes)),
      scratch(allocate(matmul_scratch_bytes(kColumns)));
  if (!weights || !x || !y || !scratch) return 0;
  // Ordinary numbers: what was in memory could be subnormal, and slow.
  std::memset(weights.get(), 0x2a, w_bytes);
  std::memset(x.get(), 0x2a, quantized_rows_bytes(kTokens, kColumns));
  w.data = weights.get();
  const Activations a{nullptr, quantized_rows_at(x.get(), kTokens, kColumns), kTokens};
  for (uint32_t i = 0; i < rounds; i++)
    w.kernel->forms[form](w, a, reinterpret_cast<float *>(y.get()), kRowsUsed, 0, w.groups(), scratch.get());
  return double(kRowsUsed) * kColumns * kTokens * rounds;
}

} // namespace slm
