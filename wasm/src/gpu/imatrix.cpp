// imatrix.cpp: importance matrices are the CPU's; see slm_imatrix_start.
#include "../loaded_model.h"

namespace slm {

Status LoadedModel::start_imatrix() {
  return fail(SLM_ERR_UNSUPPORTED, "importance matrices are collected on the CPU; load the model with another variant");
}

Status LoadedModel::read_imatrix(uint32_t, float *, uint32_t, uint32_t &) const {
  return fail(SLM_ERR_WRONG_STATE, "no importance matrix is being collected; start one");
}

} // namespace slm
