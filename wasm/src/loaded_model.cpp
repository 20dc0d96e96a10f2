// loaded_model.cpp: see loaded_model.h.
#include "loaded_model.h"

#include <algorithm>
#include <cstring>

namespace slm {

Status LoadedModel::header(std::span<const uint8_t> bytes, uint64_t file_size, uint32_t &missing) {
  if (files_.size() == n_files_)
    return fail(SLM_ERR_WRONG_STATE, "the model has all of its ", n_files_, " files already");
  auto file = std::make_unique<Gguf>();
  SLM_TRY(file->parse(bytes, file_size));

  // Split sets: each file says which it is and how many there are.
  uint32_t count = 1, number = 0;
  bool found = false;
  SLM_TRY(file->get("split.count", count, found));
  if (!found || count == 0) count = 1;
  SLM_TRY(file->get("split.no", number, found));
  if (!found) number = 0;
  constexpr uint32_t kMaxFiles = 1024; // far more than anybody cuts a small model into
  if (count > kMaxFiles || number >= count)
    return fail(SLM_ERR_BAD_FILE, "'split.no' is ", number, " of 'split.count' ", count,
                "; expected a number below a count of at most ", kMaxFiles);
  if (files_.empty())
    n_files_ = count;
  else if (count != n_files_)
    return fail(SLM_ERR_BAD_FILE, "this file belongs to a set of ", count, ", the first one to a set of ", n_files_,
                "; give the files of one set");
  if (number != files_.size())
    return fail(SLM_ERR_BAD_FILE, "this is file ", number + 1, " of ", n_files_, ", but file ",
                uint64_t(files_.size() + 1), " is expected; give the files in order");

  files_.push_back(std::move(file));
  missing = n_files_ - static_cast<uint32_t>(files_.size());
  if (missing != 0) return SLM_OK;
  const Status status = open_set();
  if (status != SLM_OK) { // the set stays open for another try
    slots_.clear();
    architecture_ = {};
    files_.pop_back();
  }
  return status;
}

Status LoadedModel::open_set() {
  bool found = false;
  SLM_TRY(files_[0]->get("general.architecture", architecture_, found));
  if (!found)
    return fail(SLM_ERR_BAD_FILE, "the file has no 'general.architecture'; it is not a language model's GGUF");
  std::string_view kind;
  SLM_TRY(files_[0]->get("general.type", kind, found));
  if (found && kind == "adapter")
    return fail(SLM_ERR_UNSUPPORTED, "the file is an adapter for a ", architecture_,
                " model and no model itself; load its base and give this file as an adapter of it");
  if (found && kind == "mmproj")
    return fail(SLM_ERR_UNSUPPORTED, "the file is an encoder of pictures and no model itself; load its language model "
                                     "and give this file as that model's encoder");
  if (found && kind == "sae")
    return fail(SLM_ERR_UNSUPPORTED, "the file is a sparse autoencoder of a ", architecture_,
                " model and no model itself; load its base and give this file beside it");
  slots_.clear();
  for (uint32_t f = 0; f < files_.size(); f++)
    for (const GgufTensor &t : files_[f]->tensors())
      slots_.push_back({&t, f});
  return Tokenizer::create(*files_[0], tokenizer_);
}

Status LoadedModel::layers(LayerRange range) {
  if (laid_out_) SLM_TRY(loaded_.check(range));
  (laid_out_ ? family_->layers : loaded_) = range;
  return SLM_OK;
}

Status LoadedModel::layout() {
  if (tokenizer_ == nullptr) return fail(SLM_ERR_WRONG_STATE, "headers of the model's files are still missing");
  if (laid_out_) return fail(SLM_ERR_WRONG_STATE, "the model is laid out already");
  // A second try after an error starts from nothing.
  weights_ = {};
  tables_.clear();
  for (TensorSlot &s : slots_)
    s = TensorSlot{s.tensor, s.file};

  SLM_TRY(new_family(architecture_, family_));
  Loader loader(files_, architecture_, tokenizer_->n_vocab(), loaded_, slots_);
  SLM_TRY(family_->load(loader));
  SLM_TRY(loader.finish());
  const LayerRange all{0, family_->shape().n_layer};
  loaded_.end = std::min(loaded_.end, all.end);
  SLM_TRY(all.check(loaded_));
  family_->layers = loaded_;
  for (uint32_t i = 0; i < kMaxRopes; i++)
    tables_.push_back(std::move(loader.rope_tables()[i]));

  f16_cache_ = false;
  for (TensorSlot &s : slots_) {
    f16_cache_ |= s.matrix != nullptr && s.tensor->type != TensorType::F32;
    if (s.table != nullptr && !s.skipped) {
      SLM_TRY(allocate(tables_.emplace_back(), s.table->bytes(), s.tensor->name));
      s.table->data = tables_.back().get();
    } else {
      SLM_TRY(s.place(weights_));
    }
  }
  SLM_TRY(weights_.placed());
  laid_out_ = true;
  return SLM_OK;
}

Status LoadedModel::feed(uint32_t tensor, uint32_t offset, const uint8_t *bytes, uint32_t n) {
  if (!laid_out_) return fail(SLM_ERR_WRONG_STATE, "the model is not laid out yet");
  if (tensor >= slots_.size())
    return fail(SLM_ERR_INVALID_ARGUMENT, "there is no tensor ", tensor, "; the model has ", uint64_t(slots_.size()));
  return slots_[tensor].feed(weights_, offset, bytes, n);
}

Status LoadedModel::ready() {
  if (!laid_out_) return fail(SLM_ERR_WRONG_STATE, "the model is not laid out yet");
  SLM_TRY(check_fed(slots_));
  SLM_TRY(weights_.packed());
  ready_ = true;
  return SLM_OK;
}

} // namespace slm
