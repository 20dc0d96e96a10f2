// vision.cpp: see vision.h.
#include "vision.h"

#include "json.h"

namespace slm {

Status Vision::header(std::span<const uint8_t> bytes, uint64_t file_size) {
  if (!model_.is_laid_out())
    return fail(SLM_ERR_WRONG_STATE, "the language model is not laid out yet; its encoder comes after it");
  if (laid_out_) return fail(SLM_ERR_WRONG_STATE, "the encoder has its header already");
  auto file = std::make_unique<Gguf>();
  SLM_TRY(file->parse(bytes, file_size));
  files_.clear();
  files_.push_back(std::move(file));
  // What an earlier try has left.
  slots_.clear();
  encoder_.reset();
  tables_.clear();
  weights_ = {};
  const Status status = open();
  if (status != SLM_OK) slots_.clear(); // open for another try
  laid_out_ = status == SLM_OK;
  return status;
}

Status Vision::open() {
  const Gguf &file = *files_[0];
  std::string_view architecture, projector;
  bool found = false, sees = false;
  SLM_TRY(file.get("general.architecture", architecture, found));
  if (architecture != "clip")
    return fail(SLM_ERR_BAD_FILE, "'general.architecture' is '", found ? architecture : "missing",
                "', but that of an encoder of pictures is 'clip'; give the file called mmproj beside the model");
  SLM_TRY(file.get("clip.has_vision_encoder", sees, found));
  SLM_TRY(file.get("clip.projector_type", projector, found));
  if (!found) SLM_TRY(file.get("clip.vision.projector_type", projector, found));
  if (!sees || !found)
    return fail(SLM_ERR_BAD_FILE, "the file has no encoder of pictures ('clip.has_vision_encoder') with a "
                                  "'clip.projector_type'; give the file called mmproj beside the model");
  for (const GgufTensor &t : file.tensors())
    slots_.push_back({&t, 0});
  SLM_TRY(find_projector(projector, model_.architecture(), projector_));
  encoder_ = projector_->create();
  Loader loader(files_, "clip.vision", 0, {}, slots_, "v.blk.");
  SLM_TRY(encoder_->load(loader, model_.family().shape()));
  loader.leave_out_all("masks."); // the decoder of what an answer outlines: the host's, which finds it here
  SLM_TRY(loader.finish());
  for (uint32_t i = 0; i < kMaxRopes; i++)
    tables_.push_back(std::move(loader.rope_tables()[i]));
  f16_cache_ = rounds_ = false;
  for (TensorSlot &s : slots_) {
    rounds_ |= s.matrix != nullptr && is_quantized(s.tensor->type);
    f16_cache_ |= s.matrix != nullptr && s.tensor->type != TensorType::F32;
    SLM_TRY(s.place(weights_));
  }
  return weights_.placed();
}

Status Vision::expect_laid_out() const {
  return laid_out_ ? SLM_OK : fail(SLM_ERR_WRONG_STATE, "the encoder's header has not come yet");
}

const char *Vision::describe() {
  if (expect_laid_out() != SLM_OK) return nullptr;
  json_.clear();
  Json json(json_);
  std::string_view name;
  bool found = false;
  json.open('{').key("name");
  if (files_[0]->get("general.name", name, found) == SLM_OK && found)
    json.text(name);
  else
    json.raw("null");
  json.key("projector").text(projector_->name);
  json.key("image_size").number(encoder_->image_size());
  json.key("patch_size").number(encoder_->patch_size());
  json.key("factor").number(encoder_->factor());
  json.key("n_tokens").number(encoder_->n_tokens());
  json.key("max_tokens").number(encoder_->max_tokens());
  json.key("whole_picture").raw(projector_->sight.whole_picture() ? "true" : "false");
  json.key("whole_prompt").raw(projector_->sight.whole_prompt ? "true" : "false");
  describe_sizes(json, slots_, true);
  json.key("tensors").open('[');
  for (const TensorSlot &s : slots_)
    describe_tensor(json, s, true);
  json.close(']').close('}');
  return json_.c_str();
}

Status Vision::feed(uint32_t tensor, uint32_t offset, const uint8_t *bytes, uint32_t n) {
  SLM_TRY(expect_laid_out());
  if (tensor >= slots_.size())
    return fail(SLM_ERR_INVALID_ARGUMENT, "there is no tensor ", tensor, "; the encoder has ", uint64_t(slots_.size()));
  return slots_[tensor].feed(weights_, offset, bytes, n);
}

Status Vision::ready() {
  SLM_TRY(expect_laid_out());
  SLM_TRY(check_fed(slots_));
  for (TensorSlot &s : slots_)
    SLM_TRY(s.turn(weights_));
  SLM_TRY(weights_.packed());
  ready_ = true;
  return SLM_OK;
}

Status Vision::measure(Extent picture, uint64_t &bytes) const {
  SLM_TRY(expect_laid_out());
  SLM_TRY(encoder_->check(picture));
  return plan(picture, bytes);
}

Status Vision::encode(const uint8_t *rgb, Extent picture, std::unique_ptr<Picture> &out) const {
  if (!ready_) return fail(SLM_ERR_WRONG_STATE, "the encoder's weights are not all there yet");
  SLM_TRY(encoder_->check(picture));
  return run(rgb, picture, out);
}

} // namespace slm
