// recurrent.h: one step in time of what recurrent layers are made of: a causal
// convolution and a gated linear recurrence, for four channels. Knows nothing of
// layers, threads or where a state is kept.
#pragma once

#include <cstdint>

namespace slm {

/// Of four channels, tap by tap.
struct ChannelTaps {
  float taps[8][4]; // Convolution::kMaxTaps, the last one for the present token
  float bias[4];
  uint32_t n_taps;
};

/// `taps` are (4, n_taps); `bias` is 4 numbers or null.
void gather_taps(const float *taps, uint32_t n_taps, const float *bias, ChannelTaps &out);

/// Four channels of each; the gates may be null.
struct ConvolutionRows {
  const float *x, *before, *behind;
};

/// out = behind * the convolution of before * x. `inputs` (n_taps - 1, 4), the oldest first, move one token on.
void convolve_step(const ChannelTaps &taps, const ConvolutionRows &rows, float *inputs, float *out);

/// What a token brings to four columns of a head's state under the delta rule: its head's query and key (width), four
/// values, and their gates behind their activations.
struct DeltaRow {
  const float *q, *k, *v;
  float strength, decay;
};

/// Strengths become sigmoid(strength), decays exp(rate softplus(decay + bias)), of n heads.
void delta_gates(const float *bias, const float *rate, uint32_t n, float *strength, float *decay);

/// Moves `state` (width, 4) one token on: it decays, gives up what it has under the key for the value, and is asked
/// for the query. See Ops::delta_rule.
void delta_step(const DeltaRow &row, uint32_t width, float *state, float *out);

/// What a token brings to four columns of a head's state space: what writes and what reads (n_state), x, and its head's
/// step, decay and skip.
struct StateRow {
  const float *write, *read, *x;
  float step, decay, skip;
};

/// Steps become softplus(step + bias), decays exp(rate step), of n heads.
void state_gates(const float *bias, const float *rate, uint32_t n, float *step, float *decay);

/// Moves `state` (n_state, 4) one token on and reads from it; see Ops::state_space.
void state_step(const StateRow &row, uint32_t n_state, float *state, float *out);

/// Four channels of each; see Ops::rg_lru.
struct GateRows {
  const float *x, *input, *recurrence, *output, *decay;
};

/// Moves `state` one token on and puts the gated result into `out`. At the `first` token of all there is no state, and
/// nothing takes its place in the input's weight.
void rg_lru_step(const GateRows &rows, bool first, float *state, float *out);

} // namespace slm
