// weights.cpp: weights in linear memory, packed for the CPU's kernels as they
// arrive; see ../weights.h.
#include "../weights.h"

#include <algorithm>
#include <vector>

#include "../memory.h"
#include "kernels/matmul.h"

namespace slm {

struct WeightStore::Kept {
  std::vector<Block> blocks;
  size_t longest_row = 0; // of a file
  Block zeros;            // stands in for the rows that a last group lacks
};

WeightStore::WeightStore() : kept_(std::make_unique<Kept>()) {}
WeightStore::~WeightStore() = default;
WeightStore::WeightStore(WeightStore &&) noexcept = default;
WeightStore &WeightStore::operator=(WeightStore &&) noexcept = default;

uint64_t WeightStore::bytes(const Matrix &m) { return uint64_t(m.groups()) * group_bytes(m); }

Status WeightStore::place(Matrix &m, std::string_view name) {
  m.kernel = matmul_kernel(m.type);
  Block block;
  SLM_TRY(allocate(block, bytes(m), name));
  m.data = block.get();
  kept_->blocks.push_back(std::move(block));
  kept_->longest_row = std::max(kept_->longest_row, size_t(row_bytes(m.type, m.columns)));
  return SLM_OK;
}

Status WeightStore::place(float *&out, uint32_t n, std::string_view name) {
  Block block;
  SLM_TRY(allocate(block, uint64_t(n) * sizeof(float), name));
  out = reinterpret_cast<float *>(block.get());
  kept_->blocks.push_back(std::move(block));
  return SLM_OK;
}

void WeightStore::part(const Matrix &whole, uint32_t first, Matrix &rows) {
  rows.kernel = whole.kernel;
  rows.data = whole.data + first / kRows * group_bytes(whole);
}

Status WeightStore::placed() { return allocate_zeroed(kept_->zeros, kept_->longest_row, "a row of zeros"); }

Status WeightStore::pack(const Matrix &m, uint32_t first, const uint8_t *bytes, uint32_t n) {
  const size_t each = size_t(row_bytes(m.type, m.columns));
  uint8_t *out = m.data + first / kRows * group_bytes(m);
  for (const uint8_t *end = bytes + n; bytes < end; bytes += kRows * each, out += group_bytes(m)) {
    const uint8_t *rows[kRows];
    for (uint32_t r = 0; r < kRows; r++) {
      const uint8_t *row = bytes + r * each;
      rows[r] = row < end ? row : kept_->zeros.get();
    }
    m.kernel->pack(rows, m.columns, out);
  }
  return SLM_OK;
}

Status WeightStore::packed() { return SLM_OK; }

} // namespace slm
