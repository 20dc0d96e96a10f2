// encoder.cpp: see encoder.h.
#include "encoder.h"

namespace slm {
namespace {

constexpr Projector kProjectors[] = {
    {"gemma3", {"gemma3"}, {.both_ways = true}, new_gemma3_vision},
    {"gemma4v", {"gemma4"}, {}, new_gemma4_vision},
    {"paligemma", {"gemma", "gemma2"}, {.both_ways = true, .whole_prompt = true}, new_paligemma_vision},
    {"idefics3", {"llama"}, {}, new_idefics3_vision},
};

} // namespace

Status find_projector(std::string_view name, std::string_view architecture, const Projector *&out) {
  std::string known;
  for (const Projector &p : kProjectors) {
    known.append(known.empty() ? "" : ", ").append(p.name);
    if (p.name != name) continue;
    out = &p;
    for (const std::string_view a : p.architectures)
      if (a == architecture) return SLM_OK;
    return fail(SLM_ERR_BAD_FILE, "the encoder's projector '", name, "' was not trained with a model of architecture '",
                architecture, "'; give the encoder that belongs to this model");
  }
  return fail(SLM_ERR_UNSUPPORTED, "the projector '", name, "' is not supported; supported are ", known);
}

Status PictureEncoder::read_shape(Loader &loader, uint32_t factor) {
  ModelShape &s = shape_;
  SLM_TRY(loader.number("embedding_length", s.n_embd));
  SLM_TRY(loader.number("feed_forward_length", s.n_ff));
  SLM_TRY(loader.number("block_count", s.n_layer));
  SLM_TRY(loader.number("attention.head_count", s.n_head));
  SLM_TRY(loader.number("patch_size", patch_size_));
  SLM_TRY(loader.number("projector.scale_factor", factor_, factor));
  SLM_TRY(loader.between("embedding_length", s.n_embd, 8, 1u << 14));
  SLM_TRY(loader.between("feed_forward_length", s.n_ff, 1, 1u << 16));
  SLM_TRY(loader.between("block_count", s.n_layer, 1, 1024));
  SLM_TRY(loader.between("attention.head_count", s.n_head, 1, s.n_embd));
  SLM_TRY(loader.between("patch_size", patch_size_, 1, kMaxPatch));
  SLM_TRY(loader.between("projector.scale_factor", factor_, 1, kMaxFactor));
  s.n_head_kv = s.n_head;
  s.head_dim = s.n_embd / s.n_head;
  if (s.n_embd % s.n_head != 0 || s.head_dim % 8 != 0 || s.head_dim > 512)
    return fail(SLM_ERR_UNSUPPORTED, "an encoder's ", s.n_head, " attention heads of ", s.n_embd,
                " columns together are not supported; each should have a multiple of 8, up to 512");
  SLM_TRY(loader.numbers("image_mean", pixels_.mean));
  SLM_TRY(loader.numbers("image_std", pixels_.deviation));
  for (const float deviation : pixels_.deviation)
    if (!(deviation > 0))
      return fail(SLM_ERR_BAD_FILE, "'clip.vision.image_std' should be above zero; convert the model again");
  return SLM_OK;
}

} // namespace slm
