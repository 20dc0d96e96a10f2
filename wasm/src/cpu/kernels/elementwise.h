// elementwise.h: the small kernels between the matrix products: normalization,
// activations, sums. One row at a time; knows nothing of layers or threads.
#pragma once

#include <cstdint>

namespace slm {

/// out = x / rms(x) * weight (Zhang and Sennrich 2019). Gemma's +1 is in the weight, which is one for
/// all where it is null.
void rmsnorm(const float *x, const float *weight, float epsilon, uint32_t n, float *out);
/// x = (x - mean) / deviation * weight + bias (Ba et al. 2016)
void layernorm(float *x, const float *weight, const float *bias, float epsilon, uint32_t n);
/// x = gelu(x), by the error function (Hendrycks and Gimpel 2016)
void gelu(float *x, uint32_t n);
/// x = gelu(x), with its tanh form
void gelu_tanh(float *x, uint32_t n);
/// x += y
void add(float *x, const float *y, uint32_t n);
/// x *= factor
void scale(float *x, float factor, uint32_t n);
/// x = cap * tanh(x / cap)
void softcap(float *x, float cap, uint32_t n);
/// x = silu(x)
void silu(float *x, uint32_t n);
/// x = x * sigmoid(gate)
void sigmoid_multiply(float *x, const float *gate, uint32_t n);
/// x of length 1 (Euclidean)
void unit_length(float *x, uint32_t n);
/// gate = silu(gate) * up
void silu_multiply(float *gate, const float *up, uint32_t n);
/// gate = gelu(gate) * up, with GELU's tanh form (Hendrycks and Gimpel 2016)
void gelu_multiply(float *gate, const float *up, uint32_t n);

} // namespace slm
