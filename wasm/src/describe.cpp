// describe.cpp: what a model says of itself, as JSON for the host.
#include <algorithm>

#include "compute.h"
#include "json.h"
#include "loaded_model.h"

namespace slm {

void describe_tensor(Json &json, const TensorSlot &slot, bool laid_out) {
  const GgufTensor &t = *slot.tensor;
  json.open('{').key("name").text(t.name).key("file").number(slot.file);
  json.key("type").text(tensor_type_info(static_cast<uint32_t>(t.type))->name).key("shape").open('[');
  for (uint32_t d = 0; d < t.n_dims; d++)
    json.number(t.ne[d]);
  json.close(']').key("offset").number(t.offset).key("size").number(t.size);
  if (laid_out && !slot.skipped) json.key("granule").number(slot.granule());
  json.close('}');
}

void describe_sizes(Json &json, std::span<const TensorSlot> slots, bool laid_out) {
  uint64_t parameters = 0, packed = 0, bytes[sizeof(kTensorTypes) / sizeof(kTensorTypes[0])] = {};
  for (const TensorSlot &s : slots) {
    const GgufTensor &t = *s.tensor;
    parameters += t.ne[0] * t.ne[1] * t.ne[2] * t.ne[3];
    if (laid_out) packed += s.packed_bytes();
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
      if (kTensorTypes[i].type == t.type) bytes[i] += t.size;
  }
  json.key("parameters").number(parameters);
  json.key("packed_bytes");
  laid_out ? json.number(packed) : json.raw("null");
  json.key("types").open('{');
  for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
    if (bytes[i] != 0) json.key(kTensorTypes[i].name).number(bytes[i]);
  json.close('}');
}

const char *LoadedModel::describe() {
  json_.clear();
  Json json(json_);
  json.open('{');
  const auto optional_text = [&](std::string_view name, std::string_view key) {
    std::string_view value;
    bool found = false;
    json.key(name);
    if (files_.empty() || files_[0]->get(key, value, found) != SLM_OK || !found)
      json.raw("null");
    else
      json.text(value);
  };
  optional_text("architecture", "general.architecture");
  optional_text("name", "general.name");
  optional_text("license", "general.license");
  optional_text("license_link", "general.license.link");
  optional_text("chat_template", "tokenizer.chat_template");

  describe_sizes(json, slots_, laid_out_);

  // The family's own reading where there is one, else the bare keys.
  const ModelShape shape = laid_out_ ? family_->shape() : ModelShape{};
  const auto fact = [&](std::string_view name, std::string_view key, uint32_t known) {
    uint32_t value = known;
    bool found = known != 0;
    const std::string full = std::string(architecture_) + "." + std::string(key);
    if (!found && !files_.empty() && files_[0]->is_array(full)) { // one of each layer: see Loader::number_of_some
      std::vector<int32_t> each;
      found = files_[0]->get(full, each, found) == SLM_OK && !each.empty();
      if (found) value = static_cast<uint32_t>(std::max(0, *std::max_element(each.begin(), each.end())));
    } else if (!found && !files_.empty() && files_[0]->get(full, value, found) != SLM_OK) {
      found = false;
    }
    json.key(name);
    found ? json.number(value) : json.raw("null");
  };
  fact("n_ctx_train", "context_length", trained_context(shape));
  fact("n_embd", "embedding_length", shape.n_embd);
  json.key("n_embedding");
  shape.embeds() ? json.number(shape.n_embedding) : json.raw("null");
  json.key("encoder_decoder").raw(shape.reads() ? "true" : "false");
  fact("n_layer", "block_count", shape.n_layer);
  fact("n_head", "attention.head_count", shape.n_head);
  fact("n_head_kv", "attention.head_count_kv", shape.n_head_kv);
  fact("n_ff", "feed_forward_length", shape.n_ff);
  fact("head_dim", "attention.key_length", shape.head_dim);
  fact("rope_dims", "rope.dimension_count", shape.rope_dims);
  fact("sliding_window", "attention.sliding_window", 0);
  fact("n_shared", "attention.shared_kv_layers", 0);
  json.key("local_layers");
  std::vector<int32_t> local;
  bool has_list = false;
  const std::string pattern = std::string(architecture_) + ".attention.sliding_window_pattern";
  if (!files_.empty() && files_[0]->is_array(pattern) && files_[0]->get(pattern, local, has_list) == SLM_OK) {
    json.open('[');
    for (const int32_t is_local : local)
      json.number(uint64_t(is_local != 0));
    json.close(']');
  } else {
    json.raw("null");
  }

  const auto token = [&](std::string_view name, int32_t id) {
    json.key(name);
    id >= 0 ? json.number(static_cast<uint64_t>(id)) : json.raw("null");
  };
  if (tokenizer_ != nullptr) {
    json.key("tokenizer").text(tokenizer_->name());
    json.key("n_vocab").number(tokenizer_->n_vocab());
    token("bos", tokenizer_->bos());
    token("eos", tokenizer_->eos());
    token("eot", tokenizer_->eot());
    json.key("add_bos").raw(tokenizer_->add_bos() ? "true" : "false");
    json.key("eog").open('[');
    for (const int32_t id : tokenizer_->eog())
      json.number(static_cast<uint64_t>(id));
    json.close(']').key("fim");
    if (const FillTokens &fill = tokenizer_->fill(); fill.complete()) {
      json.open('{');
      token("prefix", fill.prefix);
      token("suffix", fill.suffix);
      token("middle", fill.middle);
      token("separator", fill.separator);
      token("repo", fill.repository);
      token("pad", fill.padding);
      json.close('}');
    } else {
      json.raw("null");
    }
  }
  json.key("languages").open('[');
  std::vector<std::string_view> languages;
  bool found = false;
  if (!files_.empty() && files_[0]->get("general.languages", languages, found) == SLM_OK)
    for (const std::string_view l : languages)
      json.text(l);
  json.close(']');

  json.key("files").number(n_files_);
  json.key("tensors").open('[');
  for (const TensorSlot &s : slots_)
    describe_tensor(json, s, laid_out_);
  json.close(']').close('}');
  return json_.c_str();
}

} // namespace slm
