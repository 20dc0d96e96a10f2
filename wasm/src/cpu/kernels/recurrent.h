// recurrent.h: one step in time of a gated linear recurrence, for four channels.
// Knows nothing of layers, threads or where a state is kept.
#pragma once

namespace slm {

/// Four channels of each; see Ops::rg_lru.
struct GateRows {
  const float *x, *input, *recurrence, *output, *decay;
};

/// Moves `state` one token on and puts the gated result into `out`. At the `first` token of all there is no state, and
/// nothing takes its place in the input's weight.
void rg_lru_step(const GateRows &rows, bool first, float *state, float *out);

} // namespace slm
