// imatrix.cpp: the memory of an importance matrix: for every matrix of a model
// the sums over tokens of its squared inputs, column by column, and how many
// tokens there were. CpuOps::collect adds to it. What a quantizer makes of the
// sums is the host's business.
#include <cstring>

#include "../loaded_model.h"

namespace slm {

Status LoadedModel::start_imatrix() {
  if (!ready_) return fail(SLM_ERR_WRONG_STATE, "the model's weights are not all there yet");
  uint64_t floats = 0;
  for (TensorSlot &s : slots_)
    if (s.matrix != nullptr) {
      s.counted().input_squares = nullptr; // should there be no memory now
      floats += s.matrix->columns + 1;
    }
  SLM_TRY(allocate_zeroed(squares_, floats * sizeof(float), "an importance matrix"));
  float *at = reinterpret_cast<float *>(squares_.get());
  for (TensorSlot &s : slots_)
    if (s.matrix != nullptr) {
      s.counted().input_squares = at;
      at += s.matrix->columns + 1;
    }
  return SLM_OK;
}

Status LoadedModel::read_imatrix(uint32_t tensor, float *sums, uint32_t capacity, uint32_t &tokens) const {
  if (squares_ == nullptr) return fail(SLM_ERR_WRONG_STATE, "no importance matrix is being collected; start one");
  tokens = 0;
  // What has rows that no product reads was never met.
  if (tensor < slots_.size() && slots_[tensor].matrix == nullptr && slots_[tensor].tensor->ne[1] > 1) return SLM_OK;
  if (tensor >= slots_.size() || slots_[tensor].matrix == nullptr)
    return fail(SLM_ERR_INVALID_ARGUMENT, "tensor ", tensor, " is not a matrix of the model");
  const Matrix &w = slots_[tensor].counted();
  if (capacity != w.columns)
    return fail(SLM_ERR_INVALID_ARGUMENT, "room for ", capacity, " sums; matrix ", tensor, " has ", w.columns,
                " columns");
  std::memcpy(sums, w.input_squares, w.columns * sizeof(float));
  tokens = static_cast<uint32_t>(w.input_squares[w.columns]);
  return SLM_OK;
}

} // namespace slm
