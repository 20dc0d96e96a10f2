// checks.cpp: see ../checks.h. They go through the very operations that a family
// calls, so that the choice of shaders and the shape of dispatches are proved too.
#include "../checks.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "../dequantize.h"
#include "../f16.h"
#include "ops.h"

namespace slm {

struct Checks::Case {
  enum Kind { Embed, Product, Gated } kind;
  TensorType type;
  uint32_t tokens;
};

namespace {

// Two super-blocks, and rows that fill no tile.
constexpr uint32_t kColumns = 512, kRowsUsed = 37;
constexpr float kEpsilon = 1e-6f, kFactor = 3;

uint32_t next(uint64_t &state) { // PCG (O'Neill 2014)
  const uint64_t old = state;
  state = old * 6364136223846793005u + 1442695040888963407u;
  const uint32_t x = static_cast<uint32_t>((old >> 18 ^ old) >> 27), r = old >> 59;
  return x >> r | x << (-r & 31);
}
float next_float(uint64_t &state) { return float(int32_t(next(state))) * 0x1p-31f; }

/// Where a block of the type has f16 numbers, which must not become infinite.
struct Halves {
  TensorType type;
  int32_t at[2];
};
constexpr Halves kHalves[] = {
    {TensorType::F16, {0, -1}},    {TensorType::BF16, {0, -1}},  {TensorType::Q4_0, {0, -1}},
    {TensorType::Q4_1, {0, 2}},    {TensorType::Q5_0, {0, -1}},  {TensorType::Q5_1, {0, 2}},
    {TensorType::Q8_0, {0, -1}},   {TensorType::Q2_K, {80, 82}}, {TensorType::Q3_K, {108, -1}},
    {TensorType::Q4_K, {0, 2}},    {TensorType::Q5_K, {0, 2}},   {TensorType::Q6_K, {208, -1}},
    {TensorType::IQ4_NL, {0, -1}},
};

/// Rows of a file with every bit pattern that its quants and small scales can have.
std::vector<uint8_t> seeded_rows(TensorType type, uint32_t rows) {
  const TensorTypeInfo &info = *tensor_type_info(static_cast<uint32_t>(type));
  std::vector<uint8_t> bytes(size_t(rows) * row_bytes(type, kColumns));
  uint64_t state = static_cast<uint64_t>(type) + 1;
  for (size_t at = 0; at < bytes.size(); at += info.block_bytes) {
    uint8_t *block = bytes.data() + at;
    for (uint32_t i = 0; i < info.block_bytes; i++)
      block[i] = static_cast<uint8_t>(next(state));
    const float value = next_float(state);
    if (type == TensorType::F32) std::memcpy(block, &value, 4);
    for (const Halves &h : kHalves)
      if (h.type == type)
        for (const int32_t place : h.at)
          if (place >= 0) {
            // Around 1/100, of either sign: as f16, or its upper half as bf16.
            uint16_t half = f32_to_f16(next_float(state) * 0.02f);
            if (type == TensorType::BF16) half = static_cast<uint16_t>(0x3c00 | (next(state) & 0x80ff));
            std::memcpy(block + place, &half, 2);
          }
  }
  return bytes;
}

} // namespace

/// What a check needs until its result has come.
struct Checks::Running {
  WeightStore weights;
  Linear first, second;
  float *norm = nullptr;
  Scratch scratch;
  Buffer x, out;
  std::vector<float> expected, found;
};

Checks::Checks(const LoadedModel &model) {
  std::vector<TensorType> seen;
  for (const TensorSlot &s : model.slots()) {
    if (s.matrix == nullptr) continue;
    bool known = false;
    for (const TensorType type : seen)
      known |= type == s.matrix->type;
    if (known) continue;
    const TensorType type = s.matrix->type;
    seen.push_back(type);
    cases_.push_back({Case::Product, type, 1});
    cases_.push_back({Case::Product, type, GpuOps::kFewTokens + 1});
    cases_.push_back({Case::Gated, type, 1});
    if (s.tensor->name == "token_embd.weight") cases_.push_back({Case::Embed, type, 3});
  }
}
Checks::~Checks() = default;

uint32_t Checks::count() const { return static_cast<uint32_t>(cases_.size()); }
double Checks::bound() { return 1e-5; }

const char *Checks::name(uint32_t i) {
  const Case &c = cases_[i];
  name_ = c.kind == Case::Embed ? "embed " : c.kind == Case::Gated ? "glu " : c.tokens == 1 ? "matvec " : "matmul ";
  return name_.append(tensor_type_info(static_cast<uint32_t>(c.type))->name).c_str();
}

Status Checks::start(uint32_t i) {
  const Case &c = cases_[i];
  running_ = std::make_unique<Running>();
  Running &r = *running_;
  const bool embeds = c.kind == Case::Embed;
  const uint32_t width = embeds ? kColumns : kRowsUsed;

  for (Linear *l : {&r.first, &r.second}) {
    l->weight.type = c.type, l->weight.rows = kRowsUsed, l->weight.columns = kColumns;
    SLM_TRY(r.weights.place(l->weight, "a self-test"));
  }
  SLM_TRY(r.weights.place(r.norm, kColumns, "a self-test"));
  SLM_TRY(r.weights.placed());
  const std::vector<uint8_t> rows = seeded_rows(c.type, kRowsUsed);
  for (Linear *l : {&r.first, &r.second})
    SLM_TRY(r.weights.pack(l->weight, 0, rows.data(), static_cast<uint32_t>(rows.size())));
  uint64_t state = 1;
  for (uint32_t k = 0; k < kColumns; k++)
    r.norm[k] = 1 + next_float(state) / 2;
  SLM_TRY(r.weights.packed());
  std::vector<float> values(size_t(kRowsUsed) * kColumns), x(size_t(c.tokens) * kColumns);
  for (uint32_t row = 0; row < kRowsUsed; row++)
    dequantize_row(c.type, rows.data() + row * row_bytes(c.type, kColumns), kColumns, &values[row * kColumns]);
  for (float &v : x)
    v = next_float(state);

  int32_t ids[GpuOps::kFewTokens + 1];
  for (uint32_t t = 0; t < c.tokens; t++)
    ids[t] = static_cast<int32_t>(t * 17 % kRowsUsed);
  const Batch batch{ids, c.tokens, 0};
  r.scratch.ids = Buffer(sizeof ids);
  r.scratch.normed = Buffer(x.size() * 4);
  r.scratch.up = Buffer(uint64_t(c.tokens) * stride_of(width) * 4);
  r.x = Buffer(x.size() * 4);
  r.out = Buffer(uint64_t(c.tokens) * stride_of(width) * 4);
  gpu_upload(r.scratch.ids.handle(), 0, ids, c.tokens * 4);
  gpu_upload(r.x.handle(), 0, x.data(), static_cast<uint32_t>(x.size() * 4));

  GpuOps op(batch, r.scratch, r.weights, nullptr);
  const Input in{{name_of<float>(r.x.handle()), kColumns}, r.norm, kEpsilon};
  const Rows out{name_of<float>(r.out.handle()), width};
  if (embeds)
    op.embed(r.first.weight, kFactor, out);
  else if (c.kind == Case::Gated)
    op.glu(in, r.first, r.second, Glu::Silu, out);
  else
    op.matmul(in, {{r.first, out}});

  r.found.assign(size_t(c.tokens) * width, std::numeric_limits<float>::quiet_NaN());
  for (uint32_t t = 0; t < c.tokens; t++) {
    double squares = 0;
    for (uint32_t k = 0; k < kColumns; k++)
      squares += double(x[t * kColumns + k]) * double(x[t * kColumns + k]);
    const double scale = 1 / std::sqrt(squares / kColumns + double(kEpsilon));
    for (uint32_t j = 0; j < width; j++) {
      double sum = 0;
      if (embeds)
        sum = double(values[size_t(ids[t]) * kColumns + j] * kFactor);
      else
        for (uint32_t k = 0; k < kColumns; k++)
          sum += double(values[size_t(j) * kColumns + k]) * double(x[t * kColumns + k]) * double(r.norm[k]) * scale;
      if (c.kind == Case::Gated) sum *= sum / (1 + std::exp(-sum));
      r.expected.push_back(float(sum));
    }
    gpu_read(r.out.handle(), t * stride_of(width) * 4, width * 4, r.found.data() + size_t(t) * width);
  }
  gpu_submit();
  return SLM_OK;
}

double Checks::error() {
  double worst = 0, squares = 0;
  if (running_ == nullptr) return std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < running_->expected.size(); i++) {
    const double off = std::fabs(double(running_->found[i]) - double(running_->expected[i]));
    if (!(off <= worst)) worst = std::isfinite(off) ? off : std::numeric_limits<double>::infinity();
    squares += double(running_->expected[i]) * double(running_->expected[i]);
  }
  const double norm = std::sqrt(squares);
  running_.reset();
  return worst / norm;
}

} // namespace slm
