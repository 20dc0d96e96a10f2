// elementwise.cpp: see elementwise.h. Loops take four elements at a time and
// finish the rest through a padded copy, so that every element sees the same
// arithmetic whatever its place.
#include "elementwise.h"

#include <cmath>

#include "../../exp.h"

namespace slm {
namespace {

using namespace simd;

/// x[i] = f(x[i], y[i]) for n elements.
template <class F> inline void map2(float *x, const float *y, uint32_t n, F f) {
  uint32_t i = 0;
  for (; i + 4 <= n; i += 4)
    store(x + i, f(load(x + i), load(y + i)));
  if (i == n) return;
  float a[4] = {}, b[4] = {};
  std::memcpy(a, x + i, (n - i) * sizeof(float));
  std::memcpy(b, y + i, (n - i) * sizeof(float));
  store(a, f(load(a), load(b)));
  std::memcpy(x + i, a, (n - i) * sizeof(float));
}
template <class F> inline void map1(float *x, uint32_t n, F f) {
  map2(x, x, n, [&](v128 v, v128) { return f(v); });
}

/// 1 / (1 + e^-x)
inline v128 sigmoid(v128 x) {
  const v128 one = splat_f32(1);
  return div_f32(one, add_f32(one, exp_f32(mul_f32(x, splat_f32(-1)))));
}
/// tanh(x) = 2 sigmoid(2x) - 1; its absolute error stays near 1e-7.
inline v128 tanh_f32(v128 x) { return madd_f32(sigmoid(mul_f32(x, splat_f32(2))), splat_f32(2), splat_f32(-1)); }
/// 0.5 x (1 + tanh(z)) = x sigmoid(2z), z = sqrt(2/pi) (x + 0.044715 x^3)
inline v128 gelu_tanh(v128 x) {
  const v128 z2 =
      mul_f32(x, madd_f32(mul_f32(x, x), splat_f32(2 * 0.7978845608f * 0.044715f), splat_f32(2 * 0.7978845608f)));
  return mul_f32(x, sigmoid(z2));
}

} // namespace

void rmsnorm(const float *x, const float *weight, float epsilon, uint32_t n, float *out) {
  v128 squares = zero();
  uint32_t i = 0;
  for (; i + 4 <= n; i += 4)
    squares = madd_f32(load(x + i), load(x + i), squares);
  float sum = sum_f32(squares);
  for (; i < n; i++)
    sum += x[i] * x[i];
  const float factor = 1 / std::sqrt(sum / float(n) + epsilon);
  const v128 factors = splat_f32(factor);
  if (weight == nullptr) {
    for (i = 0; i + 4 <= n; i += 4)
      store(out + i, mul_f32(load(x + i), factors));
    for (; i < n; i++)
      out[i] = x[i] * factor;
    return;
  }
  for (i = 0; i + 4 <= n; i += 4)
    store(out + i, mul_f32(mul_f32(load(x + i), factors), load(weight + i)));
  for (; i < n; i++)
    out[i] = x[i] * factor * weight[i];
}

void layernorm(float *x, const float *weight, const float *bias, float epsilon, uint32_t n) {
  double sum = 0, squares = 0;
  for (uint32_t i = 0; i < n; i++)
    sum += double(x[i]);
  const double mean = sum / n;
  for (uint32_t i = 0; i < n; i++)
    squares += (double(x[i]) - mean) * (double(x[i]) - mean);
  const v128 factor = splat_f32(float(1 / std::sqrt(squares / n + double(epsilon)))), offset = splat_f32(float(-mean));
  map2(x, weight, n, [=](v128 v, v128 w) { return mul_f32(mul_f32(add_f32(v, offset), factor), w); });
  add(x, bias, n);
}

void gelu(float *x, uint32_t n) {
  // x Phi(x) = max(x, 0) - |x| erfc(z) / 2, z = |x| / sqrt 2, and erfc(z) = (a1 t + ... + a5 t^5) e^-z^2 within
  // 1.5e-7, t = 1 / (1 + p z): Abramowitz and Stegun (1964), 7.1.26.
  const v128 one = splat_f32(1), p = splat_f32(0.3275911f);
  map1(x, n, [=](v128 v) {
    const v128 size = abs_f32(v), z = mul_f32(size, splat_f32(0.70710678f));
    const v128 t = div_f32(one, madd_f32(p, z, one));
    v128 poly = splat_f32(1.061405429f);
    for (const float a : {-1.453152027f, 1.421413741f, -0.284496736f, 0.254829592f})
      poly = madd_f32(poly, t, splat_f32(a));
    const v128 tail = mul_f32(mul_f32(poly, t), exp_f32(mul_f32(z, mul_f32(z, splat_f32(-1)))));
    return sub_f32(max_f32(v, zero()), mul_f32(mul_f32(size, splat_f32(0.5f)), tail));
  });
}

void add(float *x, const float *y, uint32_t n) { map2(x, y, n, add_f32); }

void scale(float *x, float factor, uint32_t n) {
  const v128 f = splat_f32(factor);
  map1(x, n, [=](v128 v) { return mul_f32(v, f); });
}

void softcap(float *x, float cap, uint32_t n) {
  const v128 c = splat_f32(cap), inverse = splat_f32(1 / cap);
  map1(x, n, [=](v128 v) { return mul_f32(c, tanh_f32(mul_f32(v, inverse))); });
}

void silu(float *x, uint32_t n) {
  map1(x, n, [](v128 v) { return mul_f32(v, sigmoid(v)); });
}

void sigmoid_multiply(float *x, const float *gate, uint32_t n) {
  map2(x, gate, n, [](v128 v, v128 g) { return mul_f32(v, sigmoid(g)); });
}

void unit_length(float *x, uint32_t n) {
  constexpr float kEpsilon = 1e-6f; // as models were trained: of the square
  float squares = 0;
  for (uint32_t i = 0; i < n; i++)
    squares += x[i] * x[i];
  scale(x, 1 / std::sqrt(squares + kEpsilon), n);
}

void silu_multiply(float *gate, const float *up, uint32_t n) {
  map2(gate, up, n, [](v128 g, v128 u) { return mul_f32(mul_f32(g, sigmoid(g)), u); });
}

void gelu_multiply(float *gate, const float *up, uint32_t n) {
  map2(gate, up, n, [](v128 g, v128 u) { return mul_f32(gelu_tanh(g), u); });
}

void gelu_tanh(float *x, uint32_t n) {
  map1(x, n, [](v128 v) { return gelu_tanh(v); });
}

} // namespace slm
