// loader.cpp: see model.h. Limits are far above any published small model; they
// keep every product of two numbers from a file inside 64 bits.
#include <algorithm>
#include <cstring>

#include "../decimal.h"
#include "../dequantize.h"
#include "model.h"

namespace slm {
namespace {

constexpr uint32_t kMaxLayers = 1024, kMaxHeads = 1024, kMaxHeadDim = 1024;

bool is_float(TensorType type) {
  return type == TensorType::F32 || type == TensorType::F16 || type == TensorType::BF16;
}

} // namespace

std::string Loader::tensor_name(int layer, std::string_view name, std::string_view ending) const {
  std::string s;
  if (layer >= 0) {
    append_decimal(s.append(blocks_), static_cast<uint64_t>(layer));
    s.append(".");
  }
  return s.append(name).append(ending);
}

uint32_t TensorSlot::granule() const {
  const TensorTypeInfo &info = *tensor_type_info(static_cast<uint32_t>(tensor->type));
  if (vector != nullptr) return info.block_bytes;
  // A convolution's rows in the file are a matrix's as it is used, and longer than the file's first side.
  const uint32_t columns = turned ? matrix->rows : table != nullptr ? table->columns : matrix->columns;
  return columns / info.block_size * info.block_bytes * (table != nullptr ? 1 : kRows);
}

uint64_t TensorSlot::packed_bytes() const {
  if (skipped) return 0;
  if (table != nullptr) return table->bytes();
  return matrix != nullptr ? WeightStore::bytes(*matrix) : elements() * sizeof(float);
}

Status TensorSlot::take(uint32_t offset, uint32_t n) {
  const uint64_t size = tensor->size;
  const uint32_t step = granule(), before = __atomic_fetch_add(&fed, n, __ATOMIC_RELAXED);
  if (offset % step == 0 && offset <= size && n <= size - offset && n <= size - before &&
      (n % step == 0 || offset + n == size))
    return SLM_OK;
  __atomic_fetch_sub(&fed, n, __ATOMIC_RELAXED);
  return fail(SLM_ERR_INVALID_ARGUMENT, "tensor '", tensor->name, "' cannot take ", n, " bytes at ", offset,
              ": it has ", before, " of ", size, " and takes multiples of ", step);
}

Status TensorSlot::place(WeightStore &weights) {
  if (skipped) return SLM_OK;
  if (turned) SLM_TRY(allocate(whole, tensor->size, tensor->name));
  if (matrix == nullptr) return weights.place(*vector, static_cast<uint32_t>(elements()), tensor->name);
  SLM_TRY(weights.place(*matrix, tensor->name));
  uint32_t first = 0;
  for (Matrix *part : parts)
    if (part != nullptr) {
      weights.part(*matrix, first, *part);
      first += part->rows;
    }
  return SLM_OK;
}

Status TensorSlot::feed(WeightStore &weights, uint32_t offset, const uint8_t *bytes, uint32_t n) {
  if (skipped)
    return fail(SLM_ERR_INVALID_ARGUMENT, "tensor '", tensor->name, "' is left out: nothing computes with it");
  SLM_TRY(take(offset, n));
  if (turned) {
    std::memcpy(whole.get() + offset, bytes, n);
    return SLM_OK;
  }
  if (table != nullptr) {
    std::memcpy(table->data + offset, bytes, n);
    return SLM_OK;
  }
  if (matrix != nullptr) return weights.pack(*matrix, offset / granule() * kRows, bytes, n);
  const uint32_t each = granule();
  dequantize_row(tensor->type, bytes, n / each, *vector + offset / each);
  return SLM_OK;
}

Status TensorSlot::turn(WeightStore &weights) {
  if (!turned || whole == nullptr) return SLM_OK;
  const uint32_t rows = matrix->rows, columns = matrix->columns;
  const uint32_t each = tensor_type_info(static_cast<uint32_t>(tensor->type))->block_bytes;
  Block group;
  SLM_TRY(allocate(group, uint64_t(kRows) * columns * each, tensor->name));
  for (uint32_t first = 0; first < rows; first += kRows) {
    const uint32_t n = std::min(kRows, rows - first);
    for (uint32_t r = 0; r < n; r++)
      for (uint32_t c = 0; c < columns; c++)
        std::memcpy(group.get() + (size_t(r) * columns + c) * each, whole.get() + (size_t(c) * rows + first + r) * each,
                    each);
    SLM_TRY(weights.pack(*matrix, first, group.get(), n * columns * each));
  }
  whole.reset();
  return SLM_OK;
}

Status check_fed(std::span<const TensorSlot> slots) {
  for (const TensorSlot &s : slots)
    if (!s.skipped && s.fed != s.tensor->size)
      return fail(SLM_ERR_WRONG_STATE, "tensor '", s.tensor->name, "' has only ", s.fed, " of its ", s.tensor->size,
                  " bytes");
  return SLM_OK;
}

Loader::Loader(const std::vector<std::unique_ptr<Gguf>> &files, std::string_view architecture, uint32_t n_vocab,
               LayerRange layers, std::vector<TensorSlot> &slots, std::string_view blocks)
    : files_(files), architecture_(architecture), blocks_(blocks), n_vocab_(n_vocab), layers_(layers), slots_(slots) {
  names_.reset(slots_.size());
  for (uint32_t i = 0; i < slots_.size(); i++) {
    const std::string_view name = slots_[i].tensor->name;
    // A name that two shards have is found in the first; finish() reports the second.
    (void)names_.add(i, hash_bytes(name), [&](uint32_t other) { return slots_[other].tensor->name == name; });
  }
}

Status Loader::number(std::string_view key, uint32_t &value) const {
  std::string full = std::string(architecture_) + "." + std::string(key);
  bool found = false;
  SLM_TRY(files_[0]->get(full, value, found));
  if (found) return SLM_OK;
  return fail(SLM_ERR_BAD_FILE, "the file has no '", full, "', which every ", architecture_,
              " model needs; convert the model again");
}

Status Loader::number(std::string_view key, uint32_t &value, uint32_t otherwise) const {
  bool found = false;
  SLM_TRY(files_[0]->get(std::string(architecture_) + "." + std::string(key), value, found));
  if (!found) value = otherwise;
  return SLM_OK;
}

Status Loader::number(std::string_view key, float &value, float otherwise) const {
  bool found = false;
  SLM_TRY(files_[0]->get(std::string(architecture_) + "." + std::string(key), value, found));
  if (!found) value = otherwise;
  return SLM_OK;
}

Status Loader::flag(std::string_view key, bool &value, bool otherwise) const {
  bool found = false;
  SLM_TRY(files_[0]->get(std::string(architecture_) + "." + std::string(key), value, found));
  if (!found) value = otherwise;
  return SLM_OK;
}

Status Loader::pattern(std::string_view key, uint32_t n, uint32_t period, std::vector<int32_t> &value) const {
  bool found = false;
  const std::string full = std::string(architecture_) + "." + std::string(key);
  SLM_TRY(files_[0]->get(full, value, found));
  if (!found)
    for (uint32_t i = 0; i < n; i++)
      value.push_back((i + 1) % period != 0);
  if (value.size() == n) return SLM_OK;
  return fail(SLM_ERR_BAD_FILE, "'", full, "' has ", uint64_t(value.size()), " entries, but the model has ", n,
              " layers; convert the model again");
}

Status Loader::number_of_some(std::string_view key, uint32_t n_layer, uint32_t &value, uint32_t otherwise) const {
  const std::string full = std::string(architecture_) + "." + std::string(key);
  if (!files_[0]->is_array(full)) return number(key, value, otherwise);
  std::vector<int32_t> each;
  bool found = false;
  SLM_TRY(files_[0]->get(full, each, found));
  if (each.size() != n_layer)
    return fail(SLM_ERR_BAD_FILE, "'", full, "' has ", uint64_t(each.size()), " numbers, but the model has ", n_layer,
                " layers");
  int32_t one = 0;
  for (const int32_t n : each) {
    if (n < 0 || (n != 0 && one != 0 && n != one))
      return fail(SLM_ERR_UNSUPPORTED, "'", full, "' has ", one, " and ", n,
                  "; the same number in every layer that has one is supported");
    if (n != 0) one = n;
  }
  value = static_cast<uint32_t>(one);
  return SLM_OK;
}

Status Loader::refuse_variant(std::string_view key, uint32_t expected, std::string_view what) const {
  uint32_t value = expected;
  SLM_TRY(number(key, value, expected));
  if (value == expected) return SLM_OK;
  return fail(SLM_ERR_UNSUPPORTED, "'", architecture_, ".", key, "' is ", value, ", which asks for ", what,
              "; this architecture is supported without");
}

Status Loader::global_number(std::string_view key, uint32_t &value, uint32_t otherwise) const {
  bool found = false;
  SLM_TRY(files_[0]->get(key, value, found));
  if (!found) value = otherwise;
  return SLM_OK;
}

Status Loader::text(std::string_view key, std::string_view &value, std::string_view otherwise) const {
  bool found = false;
  SLM_TRY(files_[0]->get(std::string(architecture_) + "." + std::string(key), value, found));
  if (!found) value = otherwise;
  return SLM_OK;
}

Status Loader::numbers(std::string_view key, uint32_t n, std::vector<uint32_t> &values) const {
  const std::string full = std::string(architecture_) + "." + std::string(key);
  std::vector<int32_t> found;
  bool is_there = false;
  if (files_[0]->is_array(full)) {
    SLM_TRY(files_[0]->get(full, found, is_there));
  } else {
    uint32_t all;
    SLM_TRY(number(key, all));
    values.assign(n, all);
    return SLM_OK;
  }
  if (found.size() != n)
    return fail(SLM_ERR_BAD_FILE, "'", full, "' has ", uint64_t(found.size()), " numbers for ", n,
                " layers; convert the model again");
  values.clear();
  for (const int32_t value : found) {
    if (value < 0) return fail(SLM_ERR_BAD_FILE, "'", full, "' has a number below zero; convert the model again");
    values.push_back(static_cast<uint32_t>(value));
  }
  return SLM_OK;
}

Status Loader::numbers(std::string_view key, std::span<float> out, bool infinite) const {
  const std::string full = std::string(architecture_) + "." + std::string(key);
  std::vector<float> values;
  bool found = false;
  SLM_TRY(files_[0]->get(full, values, found, infinite));
  if (values.size() < out.size())
    return fail(SLM_ERR_BAD_FILE, "'", full, "' has ", uint64_t(values.size()), " numbers, but should have ",
                uint64_t(out.size()), "; convert the model again");
  std::copy_n(values.begin(), out.size(), out.begin());
  return SLM_OK;
}

Status Loader::between(std::string_view key, uint32_t value, uint32_t low, uint32_t high) const {
  if (value >= low && value <= high) return SLM_OK;
  return fail(SLM_ERR_BAD_FILE, "'", architecture_, ".", key, "' is ", value, ", but should lie between ", low, " and ",
              high);
}

Status Loader::shape(ModelShape &s, bool layers_differ) const {
  s.n_vocab = n_vocab_;
  SLM_TRY(number("context_length", s.n_ctx_train));
  SLM_TRY(number("embedding_length", s.n_embd));
  SLM_TRY(number("block_count", s.n_layer));
  SLM_TRY(number("attention.head_count", s.n_head));
  SLM_TRY(between("context_length", s.n_ctx_train, 1, 1u << 30));
  SLM_TRY(between("embedding_length", s.n_embd, 1, kMaxWidth));
  SLM_TRY(between("block_count", s.n_layer, 1, kMaxLayers));
  const auto largest = [&](std::string_view key, uint32_t &value) {
    std::vector<uint32_t> values;
    SLM_TRY(numbers(key, s.n_layer, values));
    value = *std::max_element(values.begin(), values.end());
    return SLM_OK;
  };
  if (layers_differ) {
    SLM_TRY(largest("feed_forward_length", s.n_ff));
    SLM_TRY(largest("attention.head_count_kv", s.n_head_kv));
  } else {
    SLM_TRY(number("feed_forward_length", s.n_ff));
    SLM_TRY(number_of_some("attention.head_count_kv", s.n_layer, s.n_head_kv, s.n_head));
  }
  SLM_TRY(between("feed_forward_length", s.n_ff, 1, kMaxWidth));
  SLM_TRY(between("attention.head_count", s.n_head, 1, kMaxHeads));
  SLM_TRY(between("attention.head_count_kv", s.n_head_kv, 1, s.n_head));
  if (s.n_head % s.n_head_kv != 0)
    return fail(SLM_ERR_BAD_FILE, "'", architecture_, ".attention.head_count' (", s.n_head,
                ") should be a multiple of head_count_kv (", s.n_head_kv, ")");
  SLM_TRY(number("attention.key_length", s.head_dim, s.n_embd / s.n_head));
  uint32_t value_length = 0;
  SLM_TRY(number("attention.value_length", value_length, s.head_dim));
  SLM_TRY(between("attention.key_length", s.head_dim, 8, kMaxHeadDim));
  if (s.head_dim % 8 != 0 || value_length != s.head_dim)
    return fail(SLM_ERR_UNSUPPORTED, "attention heads of ", s.head_dim, " (keys) and ", value_length,
                " (values) are not supported; both should be the same multiple of 8");
  SLM_TRY(number("rope.dimension_count", s.rope_dims, s.head_dim));
  SLM_TRY(between("rope.dimension_count", s.rope_dims, 2, s.head_dim));
  if (s.rope_dims % 2 != 0)
    return fail(SLM_ERR_BAD_FILE, "'", architecture_, ".rope.dimension_count' is ", s.rope_dims,
                ", but should be even");
  return SLM_OK;
}

Status Loader::plain_rope(Rope &rope, bool neox, uint32_t n_dims, float base) {
  if (!(base > 0)) return fail(SLM_ERR_BAD_FILE, "'", architecture_, ".rope.freq_base' should be above zero");
  SLM_TRY(allocate(rope_table_[n_ropes_], n_dims / 2 * sizeof(float), "the rotary frequencies"));
  rope.neox = neox;
  rope.n_dims = n_dims;
  rope.index = n_ropes_;
  rope.inverse_freq = reinterpret_cast<float *>(rope_table_[n_ropes_++].get());
  for (uint32_t i = 0; i < n_dims / 2; i++)
    rope.inverse_freq[i] = static_cast<float>(std::pow(double(base), -2.0 * i / n_dims));
  return SLM_OK;
}

Status Loader::axial_rope(Rope &rope, uint32_t n_dims, float base) {
  SLM_TRY(plain_rope(rope, true, n_dims / 2, base));
  rope.n_dims = n_dims;
  rope.axial = true;
  return SLM_OK;
}

Status Loader::rope(Rope &rope, bool neox, uint32_t n_dims, float default_base) {
  float base = default_base, factor = 1;
  SLM_TRY(number("rope.freq_base", base, default_base));
  SLM_TRY(plain_rope(rope, neox, n_dims, base));
  std::string_view scaling;
  SLM_TRY(text("rope.scaling.type", scaling, "none"));
  if (scaling != "none" && scaling != "linear" && scaling != "yarn")
    return fail(SLM_ERR_UNSUPPORTED, "rope scaling '", scaling,
                "' is not supported; 'none', 'linear', 'yarn' and Llama 3's are");
  SLM_TRY(number("rope.scale_linear", factor, 1));
  SLM_TRY(number("rope.scaling.factor", factor, factor));
  SLM_TRY(number("rope.scaling.attn_factor", rope.magnitude, 1.f));
  if (scaling != "none" && !(factor > 0))
    return fail(SLM_ERR_BAD_FILE, "'", architecture_, ".rope.scaling.factor' should be above zero");
  if (scaling == "yarn") SLM_TRY(stretch(rope, base, factor));
  if (scaling == "linear") {
    for (uint32_t i = 0; i < n_dims / 2; i++)
      rope.inverse_freq[i] /= factor;
  }
  if (has("rope_freqs.weight")) return vector(-1, "rope_freqs", n_dims / 2, rope.factors);
  if (!has("rope_factors_long.weight")) return SLM_OK;
  SLM_TRY(number("rope.scaling.original_context_length", rope.original_context));
  SLM_TRY(vector(-1, "rope_factors_long", n_dims / 2, rope.long_factors));
  return vector(-1, "rope_factors_short", n_dims / 2, rope.factors);
}

/// YaRN (Peng et al. 2023): frequencies that turn fewer than `beta_slow` times in the original context become
/// `factor` times as slow, those that turn more than `beta_fast` times stay, and those between blend.
Status Loader::stretch(Rope &rope, float base, float factor) const {
  uint32_t n_ctx;
  float beta_fast, beta_slow, log_multiplier;
  SLM_TRY(number("rope.scaling.original_context_length", n_ctx));
  SLM_TRY(number("rope.scaling.yarn_beta_fast", beta_fast, 32.f));
  SLM_TRY(number("rope.scaling.yarn_beta_slow", beta_slow, 1.f));
  SLM_TRY(number("rope.scaling.yarn_log_multiplier", log_multiplier, 0.f));
  SLM_TRY(between("rope.scaling.original_context_length", n_ctx, 1, 1u << 30));
  if (!(beta_slow > 0 && beta_fast > 0 && base > 1))
    return fail(SLM_ERR_BAD_FILE, "'", architecture_,
                ".rope.scaling.yarn_beta_*' should be above zero, and rope.freq_base above one");
  const double dims = rope.n_dims, pi = 3.14159265358979323846;
  /// Of which pair the frequency turns so often.
  const auto pair = [&](double turns) {
    return dims * std::log(double(n_ctx) / (turns * 2 * pi)) / (2 * std::log(double(base)));
  };
  const double low = std::fmax(std::floor(pair(double(beta_fast))), 0);
  const double high = std::fmin(std::ceil(pair(double(beta_slow))), dims - 1);
  for (uint32_t i = 0; i < rope.n_dims / 2; i++) {
    const double slowed = std::fmin(std::fmax((i - low) / std::fmax(high - low, 0.001), 0), 1);
    rope.inverse_freq[i] *= static_cast<float>(1 - slowed + slowed / double(factor));
  }
  // Attention over more positions is sharper by so much.
  const auto magnitude = [&](double by) { return factor > 1 ? 1 + 0.1 * by * std::log(double(factor)) : 1; };
  rope.magnitude *= static_cast<float>(magnitude(1) / (log_multiplier == 0 ? 1 : magnitude(double(log_multiplier))));
  return SLM_OK;
}

Status Loader::stacked(int layer, std::string_view name, uint32_t columns, Linear &whole,
                       std::initializer_list<Share> shares, bool planes) {
  uint32_t rows = 0, i = 0;
  for (const Share &share : shares) {
    if (rows % kRows != 0)
      return fail(SLM_ERR_UNSUPPORTED, "tensor '", tensor_name(layer, name, ".weight"),
                  "' holds several matrices, of which one begins at row ", rows, "; multiples of ", kRows,
                  " are supported");
    rows += share.rows;
  }
  const uint32_t n = planes ? static_cast<uint32_t>(shares.size()) : 1;
  SLM_TRY(claim_matrix(layer, tensor_name(layer, name, ".weight"), {{columns, rows / n, n, 1}}, rows, columns, whole));
  rows = 0;
  for (const Share &share : shares) {
    share.linear = whole;
    share.linear.weight.rows = share.rows, share.linear.from = rows;
    rows += share.rows;
    slots_[whole.slot].parts[i++] = &share.linear.weight;
  }
  return SLM_OK;
}

TensorSlot *Loader::slot(std::string_view name) const {
  const uint32_t i = names_.find(hash_bytes(name), [&](uint32_t id) { return slots_[id].tensor->name == name; });
  return i == HashIndex::kNone ? nullptr : &slots_[i];
}

bool Loader::has(std::string_view name) const { return slot(name) != nullptr; }
bool Loader::has(int layer, std::string_view name) const { return has(tensor_name(layer, name, ".weight")); }

uint64_t Loader::columns(int layer, std::string_view name) const {
  const TensorSlot *s = slot(tensor_name(layer, name, ".weight"));
  return s == nullptr ? 0 : s->tensor->ne[0];
}

uint64_t Loader::rows(int layer, std::string_view name) const {
  const TensorSlot *s = slot(tensor_name(layer, name, ".weight"));
  return s == nullptr ? 0 : s->tensor->ne[1];
}

Status Loader::claim(int layer, const std::string &name, const Shape &shape, TensorSlot *&out) {
  out = slot(name);
  if (out == nullptr)
    return fail(SLM_ERR_BAD_FILE, "the file has no tensor '", name, "', which every ", architecture_,
                " model needs; convert the model again");
  const GgufTensor &t = *out->tensor;
  if (!std::equal(t.ne, t.ne + 4, shape.ne)) {
    const Status status = fail(SLM_ERR_BAD_FILE, "tensor '", name, "' has the shape ", t.ne[0]);
    const uint32_t n_dims = t.n_dims > 2 || shape.ne[2] > 1 ? 4 : 2;
    for (uint32_t d = 1; d < n_dims; d++)
      error_append(" x "), error_append(t.ne[d]);
    error_append(", but the metadata asks for ");
    for (uint32_t d = 0; d < n_dims; d++)
      error_append(d == 0 ? "" : " x "), error_append(shape.ne[d]);
    return status;
  }
  if (out->claimed()) return fail(SLM_ERR_BAD_FILE, "tensor '", name, "' is used twice");
  out->skipped = layer >= 0 && !layers_.has(static_cast<uint32_t>(layer));
  return SLM_OK;
}

Status Loader::claim_matrix(int layer, const std::string &name, const Shape &shape, uint32_t rows, uint32_t columns,
                            Linear &out) {
  TensorSlot *s = nullptr;
  SLM_TRY(claim(layer, name, shape, s));
  out.weight.type = s->tensor->type;
  out.weight.rows = rows;
  out.weight.columns = columns;
  out.slot = static_cast<uint32_t>(s - slots_.data());
  s->matrix = &out.weight;
  return SLM_OK;
}

Status Loader::claim_bias(int layer, std::string_view name, Linear &out) {
  const std::string bias = tensor_name(layer, name, ".bias");
  return has(bias) ? claim_vector(layer, bias, out.weight.rows, out.bias) : SLM_OK;
}

Status Loader::linear(int layer, std::string_view name, uint32_t rows, uint32_t columns, Linear &out) {
  return claim_matrix(layer, tensor_name(layer, name, ".weight"), {{columns, rows, 1, 1}}, rows, columns, out);
}

Status Loader::linear_with_bias(int layer, std::string_view name, uint32_t rows, uint32_t columns, Linear &out) {
  SLM_TRY(linear(layer, name, rows, columns, out));
  return claim_bias(layer, name, out);
}

Status Loader::turned(std::string_view name, uint32_t rows, uint32_t columns, Linear &out) {
  const std::string full = tensor_name(-1, name, ".weight");
  SLM_TRY(claim_matrix(-1, full, {{rows, columns, 1, 1}}, rows, columns, out));
  if (!is_float(out.weight.type))
    return fail(SLM_ERR_UNSUPPORTED, "tensor '", full, "', which lies across, is quantized; F32, F16 and BF16 are ",
                "supported");
  slot(full)->turned = true;
  return SLM_OK;
}

Status Loader::patches(std::string_view name, uint32_t rows, uint32_t side, Linear &out) {
  SLM_TRY(claim_matrix(-1, tensor_name(-1, name, ".weight"), {{side, side, 3, rows}}, rows, 3 * side * side, out));
  return claim_bias(-1, name, out);
}

Status Loader::pair_of_tables(std::string_view name, uint32_t most, uint32_t columns, uint32_t &n, Linear &out) {
  const std::string full = tensor_name(-1, name, ".weight");
  const TensorSlot *s = slot(full);
  const uint64_t found = s == nullptr ? 1 : s->tensor->ne[1];
  if (found > most)
    return fail(SLM_ERR_BAD_FILE, "tensor '", full, "' has two tables of ", found, " rows, but at most ", most,
                " are supported");
  n = static_cast<uint32_t>(found);
  return claim_matrix(-1, full, {{columns, n, 2, 1}}, 2 * n, columns, out);
}

Status Loader::bounds(int layer, std::string_view name, std::string_view which, Bounds &out) {
  const std::string both = std::string(name) + "." + std::string(which);
  if (!has(tensor_name(layer, both, "_min")) && !has(tensor_name(layer, both, "_max"))) return SLM_OK;
  SLM_TRY(claim_vector(layer, tensor_name(layer, both, "_min"), 1, out.low));
  return claim_vector(layer, tensor_name(layer, both, "_max"), 1, out.high);
}

Status Loader::vector(int layer, std::string_view name, uint32_t n, float *&out) {
  return claim_vector(layer, tensor_name(layer, name, ".weight"), n, out);
}

Status Loader::bare_vector(int layer, std::string_view name, uint32_t n, float *&out) {
  return claim_vector(layer, tensor_name(layer, name, ""), n, out);
}

Status Loader::bare_column(int layer, std::string_view name, uint32_t n, float *&out) {
  return claim_floats(layer, tensor_name(layer, name, ""), n, 1, out);
}

Status Loader::leave_out_last(uint32_t n, ModelShape &shape) {
  if (n >= shape.n_layer)
    return fail(SLM_ERR_BAD_FILE, "the model has ", shape.n_layer, " layers, of which ", n,
                " are said to be for training alone; convert it again");
  shape.n_layer -= n;
  for (uint32_t i = shape.n_layer; i < shape.n_layer + n; i++)
    leave_out_all(tensor_name(static_cast<int>(i), "", ""));
  return SLM_OK;
}

void Loader::leave_out_all(std::string_view prefix) {
  for (TensorSlot &s : slots_)
    if (std::string_view(s.tensor->name).starts_with(prefix)) s.skipped = true;
}

Status Loader::layernorm(int layer, std::string_view name, uint32_t n, LayerNorm &out) {
  SLM_TRY(vector(layer, name, n, out.weight));
  return claim_vector(layer, tensor_name(layer, name, ".bias"), n, out.bias);
}

Status Loader::table(int layer, std::string_view name, uint32_t rows, uint32_t columns, float *&out) {
  return claim_floats(layer, tensor_name(layer, name, ".weight"), rows, columns, out);
}

Status Loader::row_table(std::string_view name, uint32_t rows, uint32_t columns, RowTable &out) {
  TensorSlot *s = nullptr;
  SLM_TRY(claim(-1, tensor_name(-1, name, ".weight"), {{columns, rows, 1, 1}}, s));
  out.type = s->tensor->type;
  out.rows = rows;
  out.columns = columns;
  s->table = &out;
  return SLM_OK;
}

void Loader::leave_out(int layer, std::string_view name) {
  if (TensorSlot *s = slot(tensor_name(layer, name, ".weight")); s != nullptr) s->skipped = true;
}

Status Loader::convolution(int layer, std::string_view name, uint32_t width, uint32_t n_taps, Convolution &out) {
  out.n_taps = n_taps;
  SLM_TRY(table(layer, name, width, n_taps, out.taps));
  const std::string bias = tensor_name(layer, name, ".bias");
  return has(bias) ? claim_vector(layer, bias, width, out.bias) : SLM_OK;
}

Status Loader::claim_floats(int layer, const std::string &name, uint32_t rows, uint32_t columns, float *&out) {
  TensorSlot *s = nullptr;
  SLM_TRY(claim(layer, name, {{columns, rows, 1, 1}}, s));
  if (!is_float(s->tensor->type))
    return fail(SLM_ERR_UNSUPPORTED, "tensor '", name, "' is a quantized vector; F32, F16 and BF16 are supported");
  s->vector = &out;
  return SLM_OK;
}

Status Loader::head(uint32_t n_embd, const Linear &embedding, Linear &own, const Linear *&head) {
  head = &embedding;
  if (!has("output.weight")) return SLM_OK;
  head = &own;
  return linear(-1, "output", n_vocab_, n_embd, own);
}

Status Loader::finish() const {
  for (const TensorSlot &s : slots_)
    if (!s.claimed() && !s.skipped)
      return fail(SLM_ERR_UNSUPPORTED, "tensor '", s.tensor->name, "' is not part of the architecture '", architecture_,
                  "' as this build knows it, and ignoring it would give wrong answers");
  return SLM_OK;
}

} // namespace slm
