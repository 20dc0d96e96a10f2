// adapter.cpp: see adapter.h.
#include "adapter.h"

#include <algorithm>
#include <cmath>

#include "dequantize.h"
#include "json.h"

namespace slm {
namespace {

// Adapters have ranks of 4 to 256; this only keeps the sizes of buffers sane.
constexpr uint32_t kMaxRank = 4096;

/// Rows of a quantized tensor that become float32 at once: enough that a device is not sent crumbs.
constexpr uint32_t kWidenedRows = 8 * kRows;

constexpr std::string_view kA = ".lora_a", kB = ".lora_b";
constexpr std::string_view kEmbedding = "token_embd.weight", kHead = "output.weight";

} // namespace

uint64_t Adapter::next_serial() {
  static uint64_t last = 0;
  return ++last;
}

Status Adapter::header(std::span<const uint8_t> bytes, uint64_t file_size) {
  if (!base_.is_laid_out())
    return fail(SLM_ERR_WRONG_STATE, "the base model is not laid out yet; an adapter comes after it");
  if (!tensors_.empty()) return fail(SLM_ERR_WRONG_STATE, "the adapter has its header already");
  SLM_TRY(file_.parse(bytes, file_size));
  float alpha = 0;
  SLM_TRY(check_kind(alpha));
  Status status = claim(alpha);
  if (status == SLM_OK) status = allocate_all();
  if (status != SLM_OK) tensors_.clear(); // open for another try
  return status;
}

Status Adapter::expect(std::string_view key, std::string_view expected) const {
  std::string_view value;
  bool found = false;
  SLM_TRY(file_.get(key, value, found));
  if (value == expected) return SLM_OK;
  return fail(SLM_ERR_BAD_FILE, "'", key, "' is '", found ? value : "missing", "', but should be '", expected,
              "'; give a LoRA adapter made for this base model");
}

Status Adapter::check_kind(float &alpha) const {
  SLM_TRY(expect("general.type", "adapter"));
  SLM_TRY(expect("adapter.type", "lora"));
  SLM_TRY(expect("general.architecture", base_.architecture()));
  if (file_.has("adapter.alora.invocation_tokens"))
    return fail(SLM_ERR_UNSUPPORTED, "the adapter is an activated LoRA ('adapter.alora.invocation_tokens'), which "
                                     "is not supported; train a plain one");
  bool found = false;
  SLM_TRY(file_.get("adapter.lora.alpha", alpha, found));
  if (found && alpha > 0) return SLM_OK;
  return fail(SLM_ERR_BAD_FILE, "'adapter.lora.alpha' is ", found ? "not above zero" : "missing",
              "; it scales the adapter, so convert the adapter again");
}

Status Adapter::claim(float alpha) {
  const std::span<const TensorSlot> slots = base_.slots();
  changes_ = std::vector<LowRank>(slots.size() + 1);
  max_rank_ = 0;
  for (const GgufTensor &t : file_.tensors())
    SLM_TRY(claim(t));
  if (tensors_.empty()) return fail(SLM_ERR_BAD_FILE, "the adapter has no tensors; convert it again");
  for (uint32_t i = 0; i < changes_.size(); i++) {
    LowRank &l = changes_[i];
    const bool embedding = i == slots.size();
    const uint32_t rank = embedding ? l.a.columns : l.a.rows;
    // A half that is not there has rank 0.
    if (rank != l.b.columns)
      return fail(SLM_ERR_BAD_FILE, "the halves of '", embedding ? kEmbedding : slots[i].tensor->name,
                  "' have the ranks ", rank, " (lora_a) and ", l.b.columns,
                  " (lora_b, 0 is missing), which should be equal; ", "convert the adapter again");
    if (rank == 0) continue;
    l.scale = alpha / float(rank);
    max_rank_ = std::max(max_rank_, rank);
  }
  return SLM_OK;
}

Status Adapter::claim(const GgufTensor &t) {
  const bool is_a = t.name.ends_with(kA), is_b = t.name.ends_with(kB);
  const std::string_view base = t.name.substr(0, t.name.size() - (is_a || is_b ? kA.size() : 0));
  const bool embedding = base == kEmbedding;
  // A name that is not there ends the search for good, so this costs no more than the base is large.
  const std::span<const TensorSlot> slots = base_.slots();
  const auto place = [&](std::string_view name) {
    size_t i = 0;
    while (i < slots.size() && slots[i].tensor->name != name)
      i++;
    return i;
  };
  size_t i = place(base);
  if (i == slots.size() && base == kHead) i = place(kEmbedding); // a tied head multiplies by the embeddings
  if (i == slots.size() || slots[i].matrix == nullptr || (!is_a && !is_b))
    return fail(SLM_ERR_BAD_FILE, "tensor '", t.name,
                "' is not named for a matrix of the base model and '.lora_a' or '.lora_b'; ",
                "give an adapter made for this base");
  const Matrix &w = *slots[i].matrix;
  // The embedding's A is looked up by rows and not multiplied, so both halves have the rank in front.
  const uint32_t at = is_a && !embedding ? 1 : 0;
  const uint64_t rank = t.ne[at];
  if (t.ne[1 - at] != (is_a != embedding ? w.columns : w.rows) || t.ne[2] != 1 || t.ne[3] != 1)
    return fail(SLM_ERR_BAD_FILE, "tensor '", t.name, "' has the shape ", t.ne[0], " x ", t.ne[1],
                ", but the base's matrix is ", w.columns, " x ", w.rows, "; give an adapter made for this base");
  if (rank > kMaxRank)
    return fail(SLM_ERR_UNSUPPORTED, "tensor '", t.name, "' has rank ", rank, "; ranks up to ", kMaxRank,
                " are supported");
  // Quantized adapters are widened as they come: their rows seldom fill a vector of products.
  LowRank &change = embedding ? changes_.back() : changes_[i];
  Matrix &m = is_a ? change.a : change.b;
  m.type = is_quantized(t.type) ? TensorType::F32 : t.type;
  m.columns = static_cast<uint32_t>(t.ne[0]);
  m.rows = static_cast<uint32_t>(t.ne[1]);
  tensors_.push_back({&t, 0});
  tensors_.back().matrix = &m;
  return SLM_OK;
}

Status Adapter::allocate_all() {
  size_t longest = 0;
  weights_ = {};
  for (TensorSlot &s : tensors_) {
    SLM_TRY(weights_.place(*s.matrix, s.tensor->name));
    longest = std::max(longest, size_t(s.matrix->columns));
  }
  SLM_TRY(weights_.placed());
  return allocate(widened_, kWidenedRows * longest * sizeof(float), "rows of an adapter");
}

const char *Adapter::describe() {
  json_.clear();
  Json json(json_);
  std::string_view name;
  bool found = false;
  json.open('{').key("name");
  if (file_.get("general.name", name, found) == SLM_OK && found)
    json.text(name);
  else
    json.raw("null");
  uint64_t packed = 0;
  for (const TensorSlot &s : tensors_)
    packed += s.packed_bytes();
  json.key("rank").number(max_rank_).key("packed_bytes").number(packed).key("tensors").open('[');
  for (const TensorSlot &s : tensors_)
    describe_tensor(json, s, true);
  json.close(']').close('}');
  return json_.c_str();
}

Status Adapter::feed(uint32_t tensor, uint32_t offset, const uint8_t *bytes, uint32_t n) {
  if (tensor >= tensors_.size())
    return fail(SLM_ERR_INVALID_ARGUMENT, "there is no tensor ", tensor, "; the adapter has ",
                uint64_t(tensors_.size()));
  TensorSlot &s = tensors_[tensor];
  SLM_TRY(s.take(offset, n));
  const Matrix &m = *s.matrix;
  const uint32_t each = static_cast<uint32_t>(row_bytes(s.tensor->type, m.columns)), end = (offset + n) / each;
  if (!is_quantized(s.tensor->type)) return weights_.pack(m, offset / each, bytes, n);
  float *wide = reinterpret_cast<float *>(widened_.get());
  for (uint32_t row = offset / each; row < end; row += kWidenedRows) {
    const uint32_t rows = std::min(kWidenedRows, end - row);
    for (uint32_t r = 0; r < rows; r++, bytes += each)
      dequantize_row(s.tensor->type, bytes, m.columns, wide + size_t(r) * m.columns);
    SLM_TRY(weights_.pack(m, row, widened_.get(), rows * m.columns * static_cast<uint32_t>(sizeof(float))));
  }
  return SLM_OK;
}

Status Adapter::ready() {
  if (tensors_.empty()) return fail(SLM_ERR_WRONG_STATE, "the adapter's header has not come yet");
  SLM_TRY(check_fed(tensors_));
  SLM_TRY(weights_.packed());
  ready_ = true;
  return SLM_OK;
}

Status Adaptation::set(const LoadedModel &base, std::vector<Use> wanted) {
  // By hand: the library's sort of a few takes 7 KB.
  for (size_t i = 1; i < wanted.size(); i++)
    for (size_t j = i; j > 0 && wanted[j].adapter->serial() < wanted[j - 1].adapter->serial(); j--)
      std::swap(wanted[j], wanted[j - 1]);
  size_t kept = 0;
  const Adapter *last = nullptr;
  for (Use &use : wanted) {
    const Adapter *a = use.adapter.get();
    if (!a->is_ready() || &a->base() != &base || a == last || !std::isfinite(use.scale))
      return fail(SLM_ERR_INVALID_ARGUMENT,
                  "an adapter cannot be used: expected one that is ready, of this session's model, named once and "
                  "with a finite scale");
    last = a;
    if (use.scale == 0) continue;
    std::swap(wanted[kept++], use);
  }
  while (wanted.size() > kept)
    wanted.pop_back();
  uses = std::move(wanted);
  return SLM_OK;
}

std::string Adaptation::key() const {
  std::string key;
  for (const Use &use : uses) {
    const uint64_t serial = use.adapter->serial();
    key.append(reinterpret_cast<const char *>(&serial), sizeof serial);
    key.append(reinterpret_cast<const char *>(&use.scale), sizeof use.scale);
  }
  return key;
}

} // namespace slm
