// bench.h: the prefill kernel on scratch data, for the host to time.
#pragma once

#include <cstdint>

namespace slm {

/// Runs `rounds` rounds under dot form `form` (a valid one) on this thread and
/// returns the number of multiply-accumulates, or 0 when memory is short.
double bench_dot(int form, uint32_t rounds);

} // namespace slm
