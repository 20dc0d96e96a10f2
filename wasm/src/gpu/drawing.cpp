// drawing.cpp: see drawing.h.
#include "drawing.h"

#include <cstring>

#include "../sampler.h"
#include "generated/operations.h"

namespace slm {
namespace {

/// Logits that one workgroup looks through.
constexpr uint32_t kSlice = 4096;
/// Of the best of a slice: keys and ids, and how many were not finite.
constexpr uint32_t kFoundBytes = (Draw::kMostCandidates + 1) * 8;
constexpr uint32_t kAdjustmentsBytes = 4 + Draw::kMostAdjustments * sizeof(Adjustment);

struct Sampling { // pick.wgsl's
  float temperature, top_p, min_p, random;
  uint32_t top_k, padding[3] = {};
};

uint32_t slices_of(uint32_t n_vocab) { return (n_vocab + kSlice - 1) / kSlice; }

} // namespace

Drawing::Drawing(uint32_t n_vocab)
    : n_vocab_(n_vocab), adjustments_(kAdjustmentsBytes), sampling_(sizeof(Sampling)),
      found_(uint64_t(slices_of(n_vocab)) * kFoundBytes), best_(kFoundBytes), result_(sizeof(Result)) {}

uint64_t Drawing::bytes(uint32_t n_vocab) {
  return kAdjustmentsBytes + sizeof(Sampling) + uint64_t(slices_of(n_vocab) + 1) * kFoundBytes + sizeof(Result);
}

void Drawing::encode(const Draw &draw, const Buffer &logits, uint32_t first, const Buffer &ids) {
  const auto n = static_cast<uint32_t>(draw.adjustments.size());
  if (n > 0) {
    upload_.resize(1 + n * sizeof(Adjustment) / 4);
    upload_[0] = n;
    std::memcpy(&upload_[1], draw.adjustments.data(), n * sizeof(Adjustment));
    gpu_upload(adjustments_.handle(), 0, upload_.data(), static_cast<uint32_t>(upload_.size() * 4));
    gpu::Adjust op;
    op.grid[0] = (n + 63) / 64;
    op.adjustments = adjustments_.handle(), op.logits = logits.handle();
    op.first = first;
    gpu_encode(&op);
  }
  const Sampling sampling{draw.temperature, draw.top_p, draw.min_p, draw.random, draw.top_k};
  gpu_upload(sampling_.handle(), 0, &sampling, sizeof sampling);

  gpu::Topk slices;
  slices.grid[0] = slices_of(n_vocab_);
  slices.logits = slices.found = logits.handle(); // nothing is found yet
  slices.best = found_.handle();
  slices.first = first, slices.n = n_vocab_, slices.slice = kSlice;
  gpu_encode(&slices);
  gpu::Topk all;
  all.FIRST = 0;
  all.logits = all.found = found_.handle();
  all.best = best_.handle();
  all.n = slices.grid[0];
  gpu_encode(&all);
  gpu::Pick pick;
  pick.sampling = sampling_.handle(), pick.best = best_.handle();
  pick.ids = ids.handle(), pick.result = result_.handle();
  gpu_encode(&pick);
  drawn_ = {-1, 0, 1, 0}; // for whoever does not wait
  gpu_read(result_.handle(), 0, sizeof drawn_, &drawn_);
  gpu_submit();
}

Status Drawing::drawn(int32_t &token) const {
  const bool exists = drawn_.token >= 0 && static_cast<uint32_t>(drawn_.token) < n_vocab_;
  if (drawn_.not_finite > 0 || (drawn_.candidates > 0 && !exists)) return not_numbers();
  if (drawn_.candidates == 0) return nothing_left();
  token = drawn_.token;
  return SLM_OK;
}

} // namespace slm
