// checks.cpp: see ../checks.h. They go through the very operations that a family
// calls, so that how those are cut into dispatches is proved too. Here are the
// products and the embedding; check_attention.cpp, check_recurrence.cpp,
// check_streams.cpp, check_encoder.cpp and check_drawing.cpp have the rest.
#include "../checks.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "../decimal.h"
#include "../dequantize.h"
#include "../f16.h"
#include "running.h"

namespace slm {

struct Checks::Case {
  enum Kind {
    Embed,
    Product,
    Gated,
    Attention,
    Recurrence,
    Convolving,
    Delta,
    Space,
    Streams,
    Encoding,
    Seeing,
    Drawing
  } kind;
  TensorType type;                // of weights
  uint32_t rows, columns, tokens; // of a recurrence its taps and the columns of a block
  AttentionSpec spec;             // of attention
  Convolution convolution = {};   // of one that stands alone
  DeltaRule rule = {};
  Kinds::Encoder encoder = {};
  StateSpace space = {};
  Kinds::Sight sight = {};
  float cut = 0; // of gates
};

namespace {

constexpr float kEpsilon = 1e-6f, kFactor = 3;
/// A device may divide a little otherwise, and what lies between two bytes then becomes the other one: a 127th of one
/// column's share. What is wrong is wrong by more.
constexpr double kRounding = 100;

/// Where a block of the type has f16 numbers, which must not become infinite.
struct Halves {
  TensorType type;
  int32_t at[2];
};
constexpr Halves kHalves[] = {
    {TensorType::F16, {0, -1}},     {TensorType::BF16, {0, -1}},   {TensorType::Q4_0, {0, -1}},
    {TensorType::Q4_1, {0, 2}},     {TensorType::Q5_0, {0, -1}},   {TensorType::Q5_1, {0, 2}},
    {TensorType::Q8_0, {0, -1}},    {TensorType::Q2_K, {80, 82}},  {TensorType::Q3_K, {108, -1}},
    {TensorType::Q4_K, {0, 2}},     {TensorType::Q5_K, {0, 2}},    {TensorType::Q6_K, {208, -1}},
    {TensorType::IQ4_NL, {0, -1}},  {TensorType::IQ4_XS, {0, -1}}, {TensorType::IQ3_S, {0, -1}},
    {TensorType::IQ3_XXS, {0, -1}}, {TensorType::IQ2_S, {0, -1}},  {TensorType::IQ2_XS, {0, -1}},
    {TensorType::IQ2_XXS, {0, -1}}, {TensorType::IQ1_S, {0, -1}},  {TensorType::TQ2_0, {64, -1}},
    {TensorType::TQ1_0, {52, -1}},  {TensorType::Q1_0, {0, -1}},
};

/// As few rows as are cut like `units` of them, and none that fill a tile.
uint32_t rows_like(uint32_t units) {
  const uint32_t at_once = GpuOps::rows_at_once(units, 1);
  return (at_once == 4 ? 4096 : at_once == 2 ? 1024 : 32) + 5;
}

/// The pattern's rows in a file, with every bit pattern that its quants and small scales can have.
std::vector<uint8_t> seeded_rows(TensorType type, uint32_t columns, uint64_t state) {
  const TensorTypeInfo &info = *tensor_type_info(static_cast<uint32_t>(type));
  std::vector<uint8_t> bytes(size_t(kPattern) * row_bytes(type, columns));
  for (size_t at = 0; at < bytes.size(); at += info.block_bytes) {
    uint8_t *block = bytes.data() + at;
    for (uint32_t i = 0; i < info.block_bytes; i++)
      block[i] = static_cast<uint8_t>(next_bits(state));
    const float value = next_float(state);
    if (type == TensorType::F32) std::memcpy(block, &value, 4);
    for (const Halves &h : kHalves)
      if (h.type == type)
        for (const int32_t place : h.at)
          if (place >= 0) {
            // Around 1/100, of either sign: as f16, or its upper half as bf16.
            uint16_t half = f32_to_f16(next_float(state) * 0.02f);
            if (type == TensorType::BF16) half = static_cast<uint16_t>(0x3c00 | (next_bits(state) & 0x80ff));
            std::memcpy(block + place, &half, 2);
          }
    if (type == TensorType::MXFP4) block[0] = static_cast<uint8_t>(119 + next_bits(state) % 6); // 2^-9 to 2^-4, halved
    if (type == TensorType::IQ1_M) // a half's nibbles are the upper ones of its scales' words
      for (uint32_t i = 0, half = f32_to_f16(next_float(state) * 0.02f); i < 4; i++, half >>= 4)
        block[49 + i * 2] = static_cast<uint8_t>((block[49 + i * 2] & 15) | (half & 15) << 4);
  }
  return bytes;
}

/// As matvec_dot8.wgsl has x.
void round_to_bytes(std::vector<float> &x) {
  for (size_t first = 0; first < x.size(); first += kBlock) {
    const size_t end = std::min(first + kBlock, x.size());
    float most = 0;
    for (size_t k = first; k < end; k++)
      most = std::max(most, std::fabs(x[k]));
    for (size_t k = first; k < end; k++)
      x[k] = std::nearbyint(x[k] * (127 / most)) * (most / 127);
  }
}

} // namespace

Rows Checks::Running::room(uint32_t n, uint32_t width) {
  buffers.emplace_back(uint64_t(n) * stride_of(width) * sizeof(float));
  return {name_of<float>(buffers.back().handle()), width};
}

Rows Checks::Running::upload(const std::vector<float> &values, uint32_t width) {
  const uint32_t n = static_cast<uint32_t>(values.size()) / width;
  const Rows rows = room(n, width);
  for (uint32_t i = 0; i < n; i++)
    gpu_upload(handle_of(rows.data), i * stride_of(width) * 4, values.data() + size_t(i) * width, width * 4);
  return rows;
}

void Checks::Running::read(Rows rows, uint32_t row) {
  gpu_read(handle_of(rows.data), row * stride_of(rows.width) * 4, rows.width * 4, found.data() + n_read_);
  n_read_ += rows.width;
}

Status Checks::Running::pack(const Matrix &w, uint64_t seed, std::vector<float> &values) {
  const size_t row_size = size_t(row_bytes(w.type, w.columns));
  const std::vector<uint8_t> rows = seeded_rows(w.type, w.columns, seed);
  for (uint32_t at = 0; at < w.rows; at += kPattern)
    SLM_TRY(weights.pack(w, at, rows.data(), uint32_t(std::min(kPattern, w.rows - at) * row_size)));
  values.resize(size_t(kPattern) * w.columns);
  for (uint32_t row = 0; row < kPattern; row++)
    dequantize_row(w.type, rows.data() + row * row_size, w.columns, &values[size_t(row) * w.columns]);
  return SLM_OK;
}

Checks::Checks(const LoadedModel &model) : weights_(model.weights()), f16_cache_(model.f16_cache()) {
  for (const TensorSlot &slot : model.slots())
    if (slot.matrix != nullptr && slot.tensor->name == "token_embd.weight")
      cases_.push_back({Case::Embed, slot.matrix->type, kPattern, slot.matrix->columns, 3, {}});
  const Kinds kinds = kinds_of(model);
  std::vector<TensorType> seen;
  for (const Kinds::Product &p : kinds.products) {
    cases_.push_back({p.gated ? Case::Gated : Case::Product, p.type, rows_like(p.units), p.columns, 1, {}});
    if (std::find(seen.begin(), seen.end(), p.type) != seen.end()) continue;
    seen.push_back(p.type);
    for (const uint32_t tokens : {GpuOps::kFewTokens, GpuOps::kFewTokens + 1})
      cases_.push_back({Case::Product, p.type, rows_like(1), p.columns, tokens, {}});
  }
  for (const AttentionSpec &spec : kinds.attention)
    cases_.push_back({Case::Attention, {}, 0, 0, 1, spec});
  for (const Kinds::Recurrence &k : kinds.recurrences)
    cases_.push_back({Case::Recurrence, k.type, k.n_taps, k.block, 1, {}});
  for (const Convolution &c : kinds.convolutions)
    cases_.push_back({Case::Convolving, {}, 0, 0, 1, {}, c});
  for (const DeltaRule &rule : kinds.delta_rules)
    cases_.push_back({Case::Delta, {}, 0, 0, 1, {}, {}, rule});
  for (const StateSpace &space : kinds.state_spaces)
    cases_.push_back({Case::Space, {}, 0, 0, 1, {}, {}, {}, {}, space});
  if (kinds.streams) cases_.push_back({Case::Streams, {}, 0, 0, 1, {}, {}, {}, {}, {}, {}, kinds.cut});
  if (kinds.encoder.width != 0) cases_.push_back({Case::Encoding, {}, 0, 0, 1, {}, {}, {}, kinds.encoder});
  cases_.push_back({Case::Drawing, {}, 0, 0, 1, {}});
}

Checks::Checks(const Vision &vision) : weights_(vision.weights()), f16_cache_(vision.f16_cache()) {
  const Kinds kinds = kinds_of(vision);
  cases_.push_back({Case::Seeing, {}, 0, 0, 1, {}, {}, {}, {}, {}, kinds.sight});
  for (const AttentionSpec &spec : kinds.attention)
    cases_.push_back({Case::Attention, {}, 0, 0, 1, spec});
  // A picture is many tokens, never one.
  std::vector<TensorType> seen;
  for (const Kinds::Product &p : kinds.products) {
    if (std::find(seen.begin(), seen.end(), p.type) != seen.end()) continue;
    seen.push_back(p.type);
    cases_.push_back({Case::Product, p.type, rows_like(1), p.columns, GpuOps::kFewTokens + 1, {}});
  }
}

Checks::~Checks() = default;

uint32_t Checks::count() const { return static_cast<uint32_t>(cases_.size()); }
double Checks::bound() { return 1e-5; }

const char *Checks::name(uint32_t i) {
  const Case &c = cases_[i];
  if (c.kind == Case::Attention) return c.spec.window != 0 ? "attention in a window" : "attention";
  if (c.kind == Case::Drawing) return "drawing";
  if (c.kind == Case::Convolving) return "convolution";
  if (c.kind == Case::Delta) return "delta rule";
  if (c.kind == Case::Space) return "state space";
  if (c.kind == Case::Streams) return "streams";
  if (c.kind == Case::Encoding) return "rows to one";
  if (c.kind == Case::Seeing) return "picture";
  if (c.kind == Case::Recurrence)
    return name_.assign("recurrence ").append(tensor_type_info(static_cast<uint32_t>(c.type))->name).c_str();
  const bool few = c.tokens <= GpuOps::kFewTokens;
  name_ = c.kind == Case::Embed ? "embed " : c.kind == Case::Gated ? "glu " : few ? "matvec " : "matmul ";
  name_.append(tensor_type_info(static_cast<uint32_t>(c.type))->name).append(" ");
  append_decimal(name_, c.rows);
  append_decimal(name_.append(" x "), c.columns);
  append_decimal(name_.append(" x "), c.tokens);
  return name_.c_str();
}

Status Checks::start(uint32_t i) {
  const Case &c = cases_[i];
  running_ = std::make_unique<Running>();
  Running &r = *running_;
  if (c.kind == Case::Attention) return start_attention(r, weights_, f16_cache_, c.spec);
  if (c.kind == Case::Recurrence) return start_recurrence(r, {c.type, c.columns, c.rows});
  if (c.kind == Case::Convolving) return start_convolution(r, c.convolution);
  if (c.kind == Case::Delta) return start_delta_rule(r, c.rule);
  if (c.kind == Case::Space) return start_state_space(r, c.space);
  if (c.kind == Case::Streams) return start_streams(r, c.cut);
  if (c.kind == Case::Encoding) return start_encoder(r, c.encoder);
  if (c.kind == Case::Seeing) return start_picture(r, c.sight);
  if (c.kind == Case::Drawing) return start_drawing(r);
  const bool embeds = c.kind == Case::Embed, gated = c.kind == Case::Gated;
  const uint32_t columns = c.columns, width = embeds ? columns : c.rows;

  std::vector<float> values[2]; // of the pattern in both matrices
  uint64_t state = 1;
  for (Linear *l : {&r.first, &r.second}) {
    l->weight.type = c.type, l->weight.rows = c.rows, l->weight.columns = columns;
    SLM_TRY(r.weights.place(l->weight, "a self-test"));
  }
  SLM_TRY(r.weights.place(r.norm, columns, "a self-test"));
  SLM_TRY(r.weights.placed());
  for (uint32_t m = 0; m < 2; m++)
    SLM_TRY(r.pack((m == 0 ? r.first : r.second).weight, state + m, values[m]));
  for (uint32_t k = 0; k < columns; k++)
    r.norm[k] = 1 + next_float(state) / 2;
  SLM_TRY(r.weights.packed());
  std::vector<float> x(size_t(c.tokens) * columns);
  for (float &v : x)
    v = next_float(state);

  int32_t ids[GpuOps::kFewTokens + 1];
  for (uint32_t t = 0; t < c.tokens; t++)
    ids[t] = static_cast<int32_t>(t * 17 % kPattern);
  r.scratch.ids = Buffer(sizeof ids);
  r.scratch.normed = Buffer(uint64_t(c.tokens) * stride_of(columns) * 4);
  r.scratch.up = Buffer(uint64_t(c.tokens) * stride_of(width) * 4);
  gpu_upload(r.scratch.ids.handle(), 0, ids, c.tokens * 4);

  const Batch batch{ids, c.tokens, 0};
  GpuOps op(batch, r.scratch, r.weights, nullptr, false);
  const Input in{r.upload(x, columns), r.norm, kEpsilon};
  const Rows out = r.room(c.tokens, width);
  if (embeds)
    op.embed(r.first.weight, kFactor, out);
  else if (gated)
    op.glu(in, r.first, r.second, Glu::Silu, out);
  else
    op.matmul(in, {{r.first, out}});

  const bool rounds = !embeds && c.tokens <= GpuOps::kFewTokens && GpuOps::rounds(c.type);
  if (rounds) r.allowance = kRounding;
  for (uint32_t t = 0; t < c.tokens; t++) {
    const float *row = x.data() + size_t(t) * columns;
    std::vector<float> weighed(row, row + columns);
    double squares = 0;
    for (uint32_t k = 0; k < columns; k++) {
      squares += double(row[k]) * double(row[k]);
      weighed[k] *= r.norm[k];
    }
    if (rounds) round_to_bytes(weighed);
    const double scale = 1 / std::sqrt(squares / columns + double(kEpsilon));
    const auto product = [&](uint32_t m, uint32_t j) {
      double sum = 0;
      for (uint32_t k = 0; k < columns; k++)
        sum += double(values[m][size_t(j) * columns + k]) * double(weighed[k]);
      return sum * scale;
    };
    const size_t first = r.expected.size();
    for (uint32_t j = 0; j < width; j++) {
      if (!embeds && j >= kPattern) {
        r.expected.push_back(r.expected[first + j % kPattern]);
        continue;
      }
      double right = embeds ? double(values[0][size_t(ids[t]) * columns + j] * kFactor) : product(0, j);
      if (gated) right *= product(1, j) / (1 + std::exp(-right));
      r.expected.push_back(float(right));
    }
  }
  r.found.assign(r.expected.size(), std::numeric_limits<float>::quiet_NaN());
  for (uint32_t t = 0; t < c.tokens; t++)
    r.read(out, t);
  gpu_submit();
  return SLM_OK;
}

double Checks::error() {
  double worst = 0, squares = 0;
  if (running_ == nullptr) return std::numeric_limits<double>::infinity();
  if (!running_->right.empty()) { // a token is right or wrong
    const bool right = running_->drawn == running_->right;
    running_.reset();
    return right ? 0 : std::numeric_limits<double>::infinity();
  }
  for (size_t i = 0; i < running_->expected.size(); i++) {
    const double off = std::fabs(double(running_->found[i]) - double(running_->expected[i]));
    if (!(off <= worst)) worst = std::isfinite(off) ? off : std::numeric_limits<double>::infinity();
    squares += double(running_->expected[i]) * double(running_->expected[i]);
  }
  const double error = worst / std::sqrt(squares) / running_->allowance;
  running_.reset();
  return error;
}

} // namespace slm
