// backend.cpp: what the host may ask of the GPU's backend; see ../backend.h.
#include "../backend.h"

#include <vector>

#include "ops.h"

namespace slm {
namespace {

/// A small model's feed-forward layer, for the forms to be timed on.
struct Bench {
  static constexpr uint32_t rows = 2048, columns = 1024;
  WeightStore weights;
  Linear linear;
  Scratch scratch;
  Buffer x, y;

  Status make() {
    linear.weight.type = TensorType::Q4_0, linear.weight.rows = rows, linear.weight.columns = columns;
    SLM_TRY(weights.place(linear.weight, "the kernel benchmark"));
    SLM_TRY(weights.placed());
    // Ordinary numbers: zeros would be multiplied as fast, but subnormal ones would not.
    const std::vector<uint8_t> file(rows / 16 * row_bytes(TensorType::Q4_0, columns), 0x2a);
    for (uint32_t at = 0; at < rows; at += rows / 16)
      SLM_TRY(weights.pack(linear.weight, at, file.data(), static_cast<uint32_t>(file.size())));
    x = Buffer(columns * 4);
    y = Buffer(rows * 4);
    return SLM_OK;
  }
};
std::unique_ptr<Bench> bench;

} // namespace

const std::string_view kBackend = "webgpu";

void settle() {}

Status start_threads(uint32_t n) {
  return n == 1 ? SLM_OK : fail(SLM_ERR_INVALID_ARGUMENT, n, " threads; on the GPU one encodes");
}
void serve_thread(uint32_t) {}
void stop_threads() {}

int32_t form_count() { return GpuOps::kForms; }
const char *form_name(int32_t i) { return GpuOps::kFormNames[i]; }
bool form_rounds(int32_t i) { return static_cast<GpuOps::Form>(i) == GpuOps::Form::Dot8; }
int32_t form_selected() { return static_cast<int32_t>(GpuOps::form); }
void form_select(int32_t i) {
  GpuOps::form = static_cast<GpuOps::Form>(i);
  bench.reset();
}

double form_bench(int32_t i, uint32_t rounds) {
  // What was made while the host only noted pipelines has no buffers.
  if (bench == nullptr || bench->x.handle() == 0) {
    bench = std::make_unique<Bench>();
    if (bench->make() != SLM_OK) return 0;
  }
  const GpuOps::Form before = GpuOps::form;
  GpuOps::form = static_cast<GpuOps::Form>(i);
  const Batch batch{nullptr, 1, 0};
  GpuOps op(batch, bench->scratch, bench->weights, nullptr, false);
  for (uint32_t round = 0; round < rounds; round++)
    op.matmul({{name_of<float>(bench->x.handle()), Bench::columns}},
              {{bench->linear, {name_of<float>(bench->y.handle()), Bench::rows}}});
  gpu_submit();
  GpuOps::form = before;
  return double(rounds) * Bench::rows * Bench::columns;
}

} // namespace slm
