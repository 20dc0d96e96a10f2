// attention.h: scaled dot-product attention of a few queries over a range of
// cached positions, with a running softmax (Milakov and Gimelshein 2018), so
// that ranges can be computed apart and merged. Knows nothing of threads.
#pragma once

#include "../../kv_cache.h"

namespace slm {

/// Stores one token's key and value of one head at `position`.
void store_kv(KvLayer &cache, uint32_t head, uint32_t position, const float *key, const float *value);

/// One query head of one token, and its running result.
struct Query {
  const float *q;      // (head_dim), already scaled
  float *out;          // (head_dim) sum of exp(score - max) * value; not yet divided
  float max, sum;      // of the scores, and of exp(score - max)
  uint32_t begin, end; // positions it may see
};

inline constexpr uint32_t kMaxQueries = 16; // of one call

/// Runs `n` queries of one kv head over positions [begin, end) (each query
/// sees the part that it may) and sets their out, max and sum. `softcap` 0 is
/// off. `scratch` holds attention_scratch_bytes(head_dim).
void attend(const KvLayer &cache, uint32_t head, Query *queries, uint32_t n, uint32_t begin, uint32_t end,
            float softcap, float *scratch);

/// Positions that are softened as one range. Ranges begin at its multiples and
/// are merged in order, whoever computes them: so a token's result does not
/// depend on the threads, nor on the tokens that it came with.
inline constexpr uint32_t kSegment = 128;

/// The same over any range, segment by segment; out is divided by sum in the end.
void attend_segments(const KvLayer &cache, uint32_t head, Query *queries, uint32_t n, uint32_t begin, uint32_t end,
                     float softcap, float *scratch);

/// Merges another range's result into `into` (both undivided).
void merge(Query &into, const Query &from, uint32_t head_dim);
/// Divides by the sum, when all is merged.
void finish(Query &q, uint32_t head_dim);

constexpr size_t attention_scratch_bytes(uint32_t head_dim) {
  return kMaxQueries * (kKvBlock + 2 * size_t(head_dim)) * sizeof(float);
}

} // namespace slm
