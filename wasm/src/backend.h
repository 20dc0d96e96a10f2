// backend.h: what the host may ask of a backend beside models and sessions: its
// threads, and the forms of its products. cpu/backend.cpp, gpu/backend.cpp.
#pragma once

#include <string_view>

#include "error.h"

namespace slm {

/// "cpu" or "webgpu".
extern const std::string_view kBackend;

/// Nothing may still read what is about to be freed or changed: waits for threads that are late.
void settle();

Status start_threads(uint32_t n);
void serve_thread(uint32_t index);
void stop_threads();

/// Forms of the product of weights with activations; see slm_dot_bench.
int32_t form_count();
const char *form_name(int32_t i);
/// Whether it rounds activations to bytes, outside of exact sessions.
bool form_rounds(int32_t i);
int32_t form_selected();
void form_select(int32_t i);
/// Multiply-accumulates that were done, or 0 without the memory for it.
double form_bench(int32_t i, uint32_t rounds);

} // namespace slm
