// backend.cpp: the CPU's threads and dot products; see ../backend.h.
#include "../backend.h"

#include "kernels/bench.h"
#include "kernels/matmul.h"
#include "threads.h"

namespace slm {

const std::string_view kBackend = "cpu";

void settle() { team().settle(); }

Status start_threads(uint32_t n) {
#ifdef __wasm_atomics__
  constexpr uint32_t most = Team::kMaxThreads;
#else
  constexpr uint32_t most = 1;
#endif
  if (n < 1 || n > most) return fail(SLM_ERR_INVALID_ARGUMENT, n, " threads; this build runs 1 to ", most);
  if (team().size() != 1) return fail(SLM_ERR_WRONG_STATE, "threads are running already; stop them first");
  team().resize(n);
  return SLM_OK;
}

void serve_thread(uint32_t index) { team().serve(index); }
void stop_threads() { team().stop(); }

int32_t form_count() { return kDotForms; }
const char *form_name(int32_t i) { return dot_name(i); }
bool form_rounds(int32_t) { return true; }
int32_t form_selected() { return dot_selected(); }
void form_select(int32_t i) { dot_select(i); }
double form_bench(int32_t i, uint32_t rounds) { return bench_dot(i, rounds); }

} // namespace slm
