// weights.cpp: see weights.h and ../weights.h.
#include "weights.h"

#include <algorithm>
#include <cstring>

#include "host.h"

namespace slm {
namespace {

constexpr uint64_t kAlign = 64;            // bytes, of a region
constexpr uint64_t kHeapBytes = 256 << 20; // of one heap, where the device allows as much

uint64_t align(uint64_t n) { return (n + kAlign - 1) / kAlign * kAlign; }
uint32_t whole_groups(uint32_t rows) { return (rows + kRows - 1) / kRows * kRows; }

/// Bytes of a part of `rows` rows.
uint64_t part_bytes(const MatmulKernel &k, uint32_t blocks, uint32_t rows) {
  uint64_t sum = 0;
  for (uint32_t r = 0; r < 4; r++)
    sum += align(uint64_t(region_row_bytes(k, r, blocks)) * whole_groups(rows));
  return sum;
}

} // namespace

Placement part_of(const Matrix &whole, uint32_t first, uint32_t rows) {
  const Placement &all = placement(whole);
  Placement some{all.blocks, {}};
  for (const Part &p : all.parts) {
    const uint32_t from = std::max(first, p.first_row), to = std::min(first + rows, p.first_row + p.rows);
    if (from >= to) continue;
    Part part{p.heap, {}, from - first, to - from};
    for (uint32_t r = 0; r < 4; r++) // four rows are whole words of every region, and vectors of the first
      part.at[r] = p.at[r] + region_row_bytes(*whole.kernel, r, all.blocks) * (from - p.first_row) / 4;
    some.parts.push_back(part);
  }
  return some;
}

WeightStore::WeightStore() : kept_(std::make_unique<Kept>()) {}
WeightStore::~WeightStore() = default;
WeightStore::WeightStore(WeightStore &&) noexcept = default;
WeightStore &WeightStore::operator=(WeightStore &&) noexcept = default;

WeightStore::Kept::~Kept() {
  for (const uint32_t heap : heaps)
    gpu_destroy(heap);
  if (vectors != 0) gpu_destroy(vectors);
}

uint64_t WeightStore::bytes(const Matrix &m) {
  return part_bytes(*matmul_kernel(m.type), blocks_of(m.columns), m.rows);
}

Status WeightStore::place(Matrix &m, std::string_view name) {
  m.kernel = matmul_kernel(m.type);
  auto place = std::make_unique<Placement>();
  place->blocks = blocks_of(m.columns);
  const uint64_t limit = gpu_limit(), row = part_bytes(*m.kernel, place->blocks, kRows);
  if (row > limit)
    return fail(SLM_ERR_UNSUPPORTED, "four rows of '", name, "' take ", row, " bytes, but this GPU binds at most ",
                limit, "; use the CPU");
  // A row of the last group may be padding, so parts are cut at whole groups.
  uint32_t most = whole_groups(m.rows);
  while (part_bytes(*m.kernel, place->blocks, most) > limit)
    most = whole_groups(most / 2);
  std::vector<uint64_t> &heaps = kept_->heap_bytes;
  for (uint32_t first = 0; first < m.rows; first += most) {
    Part part{0, {}, first, std::min(most, m.rows - first)};
    const uint64_t size = part_bytes(*m.kernel, place->blocks, part.rows);
    if (heaps.empty() || heaps.back() + size > std::max(std::min(limit, kHeapBytes), size)) heaps.push_back(0);
    part.heap = static_cast<uint32_t>(heaps.size() - 1);
    for (uint32_t r = 0; r < 4; r++) {
      part.at[r] = static_cast<uint32_t>(heaps.back() / 4);
      heaps.back() += align(uint64_t(region_row_bytes(*m.kernel, r, place->blocks)) * whole_groups(part.rows));
    }
    place->parts.push_back(part);
  }
  m.data = reinterpret_cast<uint8_t *>(place.get());
  kept_->placements.push_back(std::move(place));
  return SLM_OK;
}

void WeightStore::part(const Matrix &whole, uint32_t first, Matrix &rows) {
  kept_->placements.push_back(std::make_unique<Placement>(part_of(whole, first, rows.rows)));
  rows.kernel = whole.kernel;
  rows.data = reinterpret_cast<uint8_t *>(kept_->placements.back().get());
}

Status WeightStore::place(float *&out, uint32_t n, std::string_view) {
  kept_->wanted.push_back({&out, kept_->n_floats});
  kept_->n_floats += (n + kBlock - 1) / kBlock * kBlock;
  return SLM_OK;
}

Status WeightStore::placed() {
  Kept &k = *kept_;
  SLM_TRY(allocate_zeroed(k.floats, uint64_t(k.n_floats) * sizeof(float), "norms and biases"));
  for (const Kept::Vector &v : k.wanted)
    *v.out = reinterpret_cast<float *>(k.floats.get()) + v.at;
  for (const uint64_t bytes : k.heap_bytes)
    k.heaps.push_back(gpu_create(static_cast<uint32_t>(bytes)));
  if (k.n_floats != 0) k.vectors = gpu_create(k.n_floats * sizeof(float));
  return SLM_OK;
}

Status WeightStore::packed() {
  Kept &k = *kept_;
  k.staging.reset();
  k.staging_bytes = 0;
  if (k.vectors != 0) gpu_upload(k.vectors, 0, k.floats.get(), k.n_floats * sizeof(float));
  return SLM_OK;
}

Status WeightStore::pack(const Matrix &m, uint32_t first, const uint8_t *bytes, uint32_t n) {
  const Placement &place = placement(m);
  const MatmulKernel &kernel = *m.kernel;
  const size_t each = size_t(row_bytes(m.type, m.columns)), piece = size_t(row_bytes(m.type, kernel.columns));
  const uint32_t per_row = (m.columns + kernel.columns - 1) / kernel.columns, end = first + n / uint32_t(each);
  for (const Part &part : place.parts) {
    const uint32_t from = std::max(first, part.first_row), to = std::min(end, part.first_row + part.rows);
    if (from >= to) continue;
    const uint32_t rows = whole_groups(to - from);
    const uint64_t wanted = part_bytes(kernel, place.blocks, rows);
    if (wanted > kept_->staging_bytes) {
      SLM_TRY(allocate(kept_->staging, wanted, "weights on their way to the GPU"));
      kept_->staging_bytes = wanted;
    }
    std::memset(kept_->staging.get(), 0, wanted); // rows and columns that only fill up
    uint8_t *regions[4];
    uint32_t sizes[4];
    uint8_t *at = kept_->staging.get();
    for (uint32_t r = 0; r < 4; r++) {
      regions[r] = at;
      sizes[r] = region_row_bytes(kernel, r, place.blocks) * rows;
      at += align(sizes[r]);
    }
    for (uint32_t row = from; row < to; row++) {
      const uint8_t *file = bytes + (row - first) * each, *stop = file + each;
      for (uint32_t i = 0; i < per_row; i++, file += piece) {
        uint8_t whole[kBlock * sizeof(float)] = {};
        const uint8_t *in = file;
        if (file + piece > stop) in = static_cast<uint8_t *>(std::memcpy(whole, file, size_t(stop - file)));
        kernel.pack(in, (row - from) * per_row + i, regions);
      }
    }
    for (uint32_t r = 0; r < 4; r++)
      if (sizes[r] != 0)
        gpu_upload(kept_->heaps[part.heap],
                   part.at[r] * 4 + region_row_bytes(kernel, r, place.blocks) * (from - part.first_row), regions[r],
                   sizes[r]);
  }
  return SLM_OK;
}

} // namespace slm
