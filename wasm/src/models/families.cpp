// families.cpp: which architecture of a file is which family's. A new one is listed here.
#include "model.h"

namespace slm {
namespace {

struct Entry {
  std::string_view architecture;
  std::unique_ptr<Family> (*create)();
};

constexpr Entry kFamilies[] = {
    {"llama", new_llama},
    {"qwen2", new_qwen2},
    {"qwen3", new_qwen3},
    {"smollm3", new_smollm3},
    {"phi3", new_phi3},
    {"granite", new_granite},
    {"granitehybrid", new_granite},
    {"olmo2", new_olmo2},
    {"mistral3", new_mistral3},
    {"gemma", new_gemma},
    {"gemma2", new_gemma2},
    {"gemma3", new_gemma3},
    {"gemma3n", new_gemma3n},
    {"gemma4", new_gemma4},
    {"vaultgemma", new_vaultgemma},
    {"gemma-embedding", new_gemma_embedding},
    {"gemma-embedding2", new_gemma_embedding2},
    {"bert", new_bert},
    {"recurrentgemma", new_recurrentgemma},
    {"lfm2", new_lfm2},
    {"qwen35", new_qwen35},
    {"t5gemma2", new_t5gemma2},
};

} // namespace

Status new_family(std::string_view architecture, std::unique_ptr<Family> &out) {
  for (const Entry &e : kFamilies)
    if (e.architecture == architecture) {
      out = e.create();
      return SLM_OK;
    }
  std::string known;
  for (const Entry &e : kFamilies)
    known.append(known.empty() ? "" : ", ").append(e.architecture);
  return fail(SLM_ERR_UNSUPPORTED, "the architecture '", architecture, "' is not supported; supported are ", known);
}

} // namespace slm
