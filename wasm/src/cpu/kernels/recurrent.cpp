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

/// log(1 + e^x), which is x where 1 is nothing beside e^x.
float softplus(float x) { return x > 20 ? x : std::log1p(std::exp(x)); }

v128 sqrt_f32(v128 x) {
  float each[4];
  store(each, x);
  for (float &e : each)
    e = std::sqrt(e);
  return load(each);
}

} // namespace

void gather_taps(const float *taps, uint32_t n_taps, const float *bias, ChannelTaps &out) {
  out.n_taps = n_taps;
  for (uint32_t i = 0; i < 4; i++) {
    out.bias[i] = bias == nullptr ? 0 : bias[i];
    for (uint32_t j = 0; j < n_taps; j++)
      out.taps[j][i] = taps[i * n_taps + j];
  }
}

void convolve_step(const ChannelTaps &taps, const ConvolutionRows &rows, float *inputs, float *out) {
  const uint32_t before = taps.n_taps - 1;
  v128 x = load(rows.x), sum = load(taps.bias);
  if (rows.before != nullptr) x = mul_f32(x, load(rows.before));
  for (uint32_t j = 0; j < before; j++) {
    const v128 input = load(inputs + j * 4);
    sum = madd_f32(load(taps.taps[j]), input, sum);
    if (j != 0) store(inputs + (j - 1) * 4, input);
  }
  store(inputs + (before - 1) * 4, x);
  sum = madd_f32(load(taps.taps[before]), x, sum);
  store(out, rows.behind == nullptr ? sum : mul_f32(sum, load(rows.behind)));
}

void delta_gates(const float *bias, const float *rate, uint32_t n, float *strength, float *decay) {
  for (uint32_t i = 0; i < n; i++) {
    decay[i] = std::exp(rate[i] * softplus(decay[i] + bias[i]));
    strength[i] = 1 / (1 + std::exp(-strength[i]));
  }
}

void delta_step(const DeltaRow &row, uint32_t width, float *state, float *out) {
  const v128 decay = splat_f32(row.decay);
  v128 had = splat_f32(0), answer = splat_f32(0);
  for (uint32_t i = 0; i < width; i++)
    had = madd_f32(splat_f32(row.k[i]), load(state + i * 4), had);
  const v128 change = mul_f32(splat_f32(row.strength), sub_f32(load(row.v), mul_f32(decay, had)));
  for (uint32_t i = 0; i < width; i++) {
    const v128 s = madd_f32(splat_f32(row.k[i]), change, mul_f32(decay, load(state + i * 4)));
    store(state + i * 4, s);
    answer = madd_f32(splat_f32(row.q[i]), s, answer);
  }
  store(out, answer);
}

void state_gates(const float *bias, const float *rate, uint32_t n, float *step, float *decay) {
  for (uint32_t i = 0; i < n; i++) {
    step[i] = softplus(step[i] + bias[i]);
    decay[i] = std::exp(rate[i] * step[i]);
  }
}

void state_step(const StateRow &row, uint32_t n_state, float *state, float *out) {
  const v128 decay = splat_f32(row.decay), x = load(row.x), in = mul_f32(splat_f32(row.step), x);
  // Two sums, so that none waits for the addition before it.
  v128 even = mul_f32(splat_f32(row.skip), x), odd = splat_f32(0);
  const auto move = [&](uint32_t i, v128 sum) {
    const v128 s = madd_f32(splat_f32(row.write[i]), in, mul_f32(decay, load(state + i * 4)));
    store(state + i * 4, s);
    return madd_f32(splat_f32(row.read[i]), s, sum);
  };
  for (uint32_t i = 0; i < n_state; i += 2)
    even = move(i, even), odd = move(i + 1, odd);
  store(out, add_f32(even, odd));
}

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
