// recurrent.h: what a layer remembers in place of keys and values: numbers of a
// constant size, however long the context. Owns how many there are; knows
// neither the operations that read them nor when a session copies them.
#pragma once

#include <cstdint>

namespace slm {

/// The last inputs of a causal convolution, (taps - 1, width) with the oldest first, and behind them a state.
/// Float32 on every backend: a state is a sum over the whole past.
struct RecurrentLayer {
  float *memory = nullptr; // of all layers of a session; on the GPU it names a buffer
  uint32_t at = 0;         // where this layer's begins, in floats
  uint32_t n_inputs = 0, n_state = 0;

  uint64_t floats() const { return uint64_t(n_inputs) + n_state; }
};

} // namespace slm
