// recurrent.cpp: see recurrent.h.
#include "recurrent.h"

#include <cmath>
#include <cstdint>

#include "../../exp.h"
#include "elementwise.h"

namespace slm {
namespace {

using namespace simd;

v128 sigmoid(v128 x) {
  const v128 one = splat_f32(1);
  return div_f32(one, add_f32(one, exp_f32(mul_f32(x, splat_f32(-1)))));
}

/// 1 - e^x of x <= 0, also where e^x is next to 1.
v128 one_less_exp(v128 x) {
  // -x (1 + x/2 (1 + x/3 (1 + x/4 (1 + x/5)))), off by x^5 / 720
  v128 series = splat_f32(1);
  for (const float n : {5.f, 4.f, 3.f, 2.f})
    series = madd_f32(mul_f32(x, splat_f32(1 / n)), series, splat_f32(1));
  const v128 exact = sub_f32(splat_f32(1), exp_f32(x));
  return select(mul_f32(mul_f32(x, splat_f32(-1)), series), exact, greater_f32(x, splat_f32(-0.125f)));
}

v128 sqrt_f32(v128 x) {
  float each[4];
  store(each, x);
  for (float &e : each)
    e = std::sqrt(e);
  return load(each);
}

} // namespace

void rg_lru_step(const GateRows &rows, bool first, float *state, float *out) {
  v128 h = mul_f32(load(rows.x), sigmoid(load(rows.input)));
  if (!first) {
    const v128 log_a = mul_f32(sigmoid(load(rows.recurrence)), load(rows.decay));
    h = mul_f32(h, sqrt_f32(one_less_exp(mul_f32(log_a, splat_f32(2)))));
    h = madd_f32(exp_f32(log_a), load(state), h);
  }
  store(state, h);
  store(out, load(rows.output));
  gelu_multiply(out, state, 4);
}

} // namespace slm
