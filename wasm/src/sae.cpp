// sae.cpp: see sae.h.
#include "sae.h"

#include "compute.h"
#include "dequantize.h"
#include "json.h"

namespace slm {
namespace {

// The widest published have a million; this keeps products of sizes inside 64 bits.
constexpr uint64_t kMaxFeatures = 1u << 24;

// By slm_site's numbers.
constexpr std::string_view kSiteNames[] = {"residual", "mlp", "heads"};
static_assert(sizeof kSiteNames / sizeof *kSiteNames == kSites);

constexpr std::string_view kEncoder = "encoder.weight", kBias = "encoder.bias", kThreshold = "threshold",
                           kDecoder = "decoder.weight", kDecoderBias = "decoder.bias";

} // namespace

Status Sae::header(std::span<const uint8_t> bytes, uint64_t file_size) {
  if (!model_.is_laid_out()) return fail(SLM_ERR_WRONG_STATE, "the model is not laid out yet; an SAE comes after it");
  if (!tensors_.empty()) return fail(SLM_ERR_WRONG_STATE, "the SAE has its header already");
  forget();
  SLM_TRY(file_.parse(bytes, file_size));
  Status status = check_kind();
  if (status == SLM_OK) status = claim();
  if (status == SLM_OK) status = allocate_all();
  if (status != SLM_OK) forget(); // open for another try
  return status;
}

void Sae::forget() {
  tensors_.clear();
  labels_.clear();
  encoder_ = {}, threshold_ = nullptr, decoder_ = nullptr;
  weights_ = {};
}

Status Sae::check_kind() {
  const auto text = [&](std::string_view key, std::string_view &value) {
    bool found = false;
    SLM_TRY(file_.get(key, value, found));
    if (found) return SLM_OK;
    return fail(SLM_ERR_BAD_FILE, "the file has no '", key, "'; give a sparse autoencoder that `slmweb sae` wrote");
  };
  std::string_view kind, type, architecture, site;
  SLM_TRY(text("general.type", kind));
  if (kind != "sae")
    return fail(SLM_ERR_BAD_FILE, "'general.type' is '", kind, "', but should be 'sae'; give a sparse autoencoder");
  SLM_TRY(text("sae.type", type));
  if (type != "jump_relu")
    return fail(SLM_ERR_UNSUPPORTED, "the SAE is of the type '", type, "'; 'jump_relu' is supported");
  SLM_TRY(text("general.architecture", architecture));
  if (architecture != model_.architecture())
    return fail(SLM_ERR_BAD_FILE, "the SAE is of a ", architecture, " model, and this is a ", model_.architecture(),
                " model; give one that was made for it");
  SLM_TRY(text("sae.site", site));
  uint32_t i = 0;
  while (i < kSites && site != kSiteNames[i])
    i++;
  if (i == kSites)
    return fail(SLM_ERR_UNSUPPORTED, "'sae.site' is '", site, "'; 'residual', 'mlp' and 'heads' are supported");
  place_.site = static_cast<Site>(i);
  bool found = false;
  SLM_TRY(file_.get("sae.layer", place_.layer, found));
  const uint32_t n_layer = model_.family().shape().n_layer;
  if (!found || place_.layer >= n_layer)
    return fail(SLM_ERR_BAD_FILE, "'sae.layer' is ", found ? "not a layer of this model" : "missing",
                "; expected 0 to ", n_layer - 1, ", so give an SAE that was made for it");
  return SLM_OK;
}

Status Sae::find(std::string_view name, uint64_t columns, uint64_t rows, TensorSlot *&out) {
  out = nullptr;
  for (TensorSlot &s : tensors_)
    if (s.tensor->name == name) out = &s;
  if (out == nullptr)
    return fail(SLM_ERR_BAD_FILE, "the file has no tensor '", name, "', which every SAE needs; convert it again");
  const GgufTensor &t = *out->tensor;
  if (t.ne[0] == columns && t.ne[1] == rows && t.ne[2] == 1 && t.ne[3] == 1) return SLM_OK;
  return fail(SLM_ERR_BAD_FILE, "tensor '", name, "' has the shape ", t.ne[0], " x ", t.ne[1], ", but should have ",
              columns, " x ", rows, " in this model; give an SAE that was made for it");
}

Status Sae::claim() {
  uint64_t n = 0;
  for (const GgufTensor &t : file_.tensors()) {
    tensors_.push_back({&t, 0});
    tensors_.back().skipped = true;
    if (t.name == kEncoder) n = t.ne[1];
    if (t.name != kEncoder && t.name != kBias && t.name != kThreshold && t.name != kDecoder && t.name != kDecoderBias)
      return fail(SLM_ERR_UNSUPPORTED, "tensor '", t.name, "' is not part of a JumpReLU SAE as this build knows it");
  }
  if (n > kMaxFeatures)
    return fail(SLM_ERR_UNSUPPORTED, "an SAE of ", n, " features; up to ", uint64_t(kMaxFeatures), " are supported");
  const uint32_t width = tap_width(model_, place_);
  TensorSlot *encoder, *bias, *threshold, *decoder;
  SLM_TRY(find(kEncoder, width, n, encoder));
  SLM_TRY(find(kBias, n, 1, bias));
  SLM_TRY(find(kThreshold, n, 1, threshold));
  SLM_TRY(find(kDecoder, width, n, decoder));
  encoder_.weight.type = encoder->tensor->type;
  encoder_.weight.rows = static_cast<uint32_t>(n), encoder_.weight.columns = width;
  encoder->matrix = &encoder_.weight;
  for (TensorSlot *s : {bias, threshold})
    if (is_quantized(s->tensor->type))
      return fail(SLM_ERR_UNSUPPORTED, "tensor '", s->tensor->name,
                  "' is a quantized vector; F32, F16 and BF16 are supported");
  bias->vector = &encoder_.bias, threshold->vector = &threshold_;
  for (TensorSlot *s : {encoder, bias, threshold})
    s->skipped = false;
  decoder_ = decoder->tensor;

  bool found = false;
  SLM_TRY(file_.get("sae.labels", labels_, found));
  if (!found || labels_.size() == n) return SLM_OK;
  return fail(SLM_ERR_BAD_FILE, "'sae.labels' has ", uint64_t(labels_.size()), " labels for ", n,
              " features; convert the SAE again");
}

Status Sae::allocate_all() {
  for (TensorSlot &s : tensors_)
    SLM_TRY(s.place(weights_));
  return weights_.placed();
}

const char *Sae::describe() {
  json_.clear();
  Json json(json_);
  json.open('{');
  const auto text = [&](std::string_view name, std::string_view key) {
    std::string_view value;
    bool found = false;
    json.key(name);
    if (file_.get(key, value, found) == SLM_OK && found)
      json.text(value);
    else
      json.raw("null");
  };
  text("name", "general.name");
  text("base", "general.base_model.0.name");
  text("license", "general.license");
  uint64_t labels = 0, packed = 0;
  for (const std::string_view l : labels_)
    labels += !l.empty();
  for (const TensorSlot &s : tensors_)
    packed += s.packed_bytes();
  json.key("site").number(static_cast<uint64_t>(place_.site)).key("layer").number(place_.layer);
  json.key("width").number(width()).key("features").number(n_features()).key("labels").number(labels);
  json.key("packed_bytes").number(packed).key("tensors").open('[');
  for (const TensorSlot &s : tensors_)
    describe_tensor(json, s, true);
  json.close(']').key("decoder");
  if (decoder_ == nullptr) {
    json.raw("null");
  } else {
    json.open('{').key("offset").number(decoder_->offset);
    json.key("row").number(row_bytes(decoder_->type, decoder_->ne[0])).close('}');
  }
  json.close('}');
  return json_.c_str();
}

Status Sae::feed(uint32_t tensor, uint32_t offset, const uint8_t *bytes, uint32_t n) {
  if (tensor >= tensors_.size())
    return fail(SLM_ERR_INVALID_ARGUMENT, "there is no tensor ", tensor, "; the SAE has ", uint64_t(tensors_.size()));
  TensorSlot &s = tensors_[tensor];
  if (s.skipped) return fail(SLM_ERR_INVALID_ARGUMENT, "tensor '", s.tensor->name, "' of an SAE is not loaded");
  return s.feed(weights_, offset, bytes, n);
}

Status Sae::ready() {
  if (tensors_.empty()) return fail(SLM_ERR_WRONG_STATE, "the SAE's header has not come yet");
  SLM_TRY(check_fed(tensors_));
  SLM_TRY(weights_.packed());
  ready_ = true;
  return SLM_OK;
}

const char *Sae::label(uint32_t feature) {
  if (feature >= labels_.size() || labels_[feature].empty()) return nullptr;
  label_ = labels_[feature];
  return label_.c_str();
}

Status Sae::direction(std::span<const uint8_t> row, std::span<float> out) const {
  if (decoder_ == nullptr) return fail(SLM_ERR_WRONG_STATE, "the SAE's header has not come yet");
  const uint64_t bytes = row_bytes(decoder_->type, width());
  if (row.size() != bytes || out.size() != width())
    return fail(SLM_ERR_INVALID_ARGUMENT, uint64_t(row.size()), " bytes for ", uint64_t(out.size()),
                " numbers; a row of this decoder is ", bytes, " bytes and ", width(), " numbers");
  dequantize_row(decoder_->type, row.data(), width(), out.data());
  return SLM_OK;
}

} // namespace slm
