// backend.cpp: what the host may ask of the GPU's backend; see ../backend.h.
#include "../backend.h"

namespace slm {

const std::string_view kBackend = "webgpu";

void settle() {}

Status start_threads(uint32_t n) {
  return n == 1 ? SLM_OK : fail(SLM_ERR_INVALID_ARGUMENT, n, " threads; on the GPU one encodes");
}
void serve_thread(uint32_t) {}
void stop_threads() {}

int32_t form_count() { return 0; }
const char *form_name(int32_t) { return nullptr; }
int32_t form_selected() { return -1; }
void form_select(int32_t) {}
double form_bench(int32_t, uint32_t) { return 0; }

} // namespace slm
