// streams.cpp: the operations of models with several residuals on the GPU, and of
// feed-forward networks that let few gates through; see ops.h.
#include "ops.h"

namespace slm {
namespace {

/// `y` is read where they are corrected.
void encode(bool correct, Rows coefficients, Rows y, uint32_t scale, uint32_t vectors, const Ops::Streams &streams,
            uint32_t n) {
  gpu::Streams op;
  op.CORRECT = correct;
  op.quads = stride_of(streams[0].width) / 4;
  op.grid[0] = (op.quads + 63) / 64, op.grid[1] = n;
  op.coefficients = handle_of(coefficients.data), op.vectors = vectors, op.y = handle_of(y.data);
  uint32_t *const each[] = {&op.s0, &op.s1, &op.s2, &op.s3};
  for (uint32_t i = 0; i < Ops::kStreams; i++)
    *each[i] = handle_of(streams[i].data);
  op.coefficients_stride = stride_of(coefficients.width);
  op.scale = scale;
  gpu_encode(&op);
}

} // namespace

void GpuOps::mix(Rows coefficients, const Streams &streams) {
  encode(false, coefficients, {name_of<float>(scratch_.up.handle()), streams[0].width}, 0, kept_.vectors, streams,
         batch_.n);
}

void GpuOps::correct(Rows coefficients, const float *scale, Rows y, const Streams &streams) {
  encode(true, coefficients, y, kept_.vector_at(scale), kept_.vectors, streams, batch_.n);
}

void GpuOps::match(Rows x, Rows y) {
  gpu::Match op;
  op.grid[0] = batch_.n;
  op.x = handle_of(x.data), op.y = handle_of(y.data);
  op.quads = stride_of(x.width) / 4;
  op.least = kLeastSquare * float(x.width);
  gpu_encode(&op);
}

void GpuOps::sparse_gelu(Rows up, float cut, Rows x) {
  gpu::SparseGlu op;
  op.grid[0] = batch_.n;
  op.up = handle_of(up.data), op.x = handle_of(x.data);
  op.width = x.width, op.stride = stride_of(x.width);
  op.cut = cut;
  gpu_encode(&op);
}

} // namespace slm
