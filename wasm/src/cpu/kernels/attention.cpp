// attention.cpp: see attention.h. Queries share each key and value that is
// loaded: with grouped-query attention and several tokens of a prefill there
// are up to kMaxQueries of them, and unpacking f16 costs as much as a product.
#include "attention.h"

#include <cmath>
#include <limits>
#include <utility>

#include "../../exp.h"
#include "../../f16.h"
#include "elementwise.h"

namespace slm {
namespace {

using namespace simd;

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

/// f16 elements, loaded as bits whose exponent is 112 too small; what they are
/// multiplied with makes that good: by `factor` in the weights, and half of it
/// (so that large queries stay finite) before and half after in the scores.
struct Half {
  using T = uint16_t;
  static constexpr float factor = 0x1p112f, root = 0x1p56f;
  static constexpr uint32_t at_once = 4; // queries that share what is loaded
  static v128 load4(const T *p, const F16Constants &k) { return and_(shl32(load16x4_s(p), 13), k.bits); }
  static T from(float f) { return f32_to_f16(f); }
};
struct Single {
  using T = float;
  static constexpr float factor = 1, root = 1;
  static constexpr uint32_t at_once = 1; // only float32 models have such a cache, and nobody serves them
  static v128 load4(const T *p, const F16Constants &) { return load(p); }
  static T from(float f) { return f; }
};

template <class E> const typename E::T *key_block(const KvLayer &c, uint32_t head, uint32_t slot) {
  return static_cast<const typename E::T *>(c.keys) + (size_t(head) * c.capacity + slot) * c.head_dim;
}
template <class E> const typename E::T *value_row(const KvLayer &c, uint32_t head, uint32_t slot) {
  return static_cast<const typename E::T *>(c.values) + (size_t(head) * c.capacity + slot) * c.head_dim;
}

template <class E>
void store_kv_as(KvLayer &c, uint32_t head, uint32_t position, const float *key, const float *value) {
  const uint32_t slot = position % c.capacity;
  auto *k = const_cast<typename E::T *>(key_block<E>(c, head, slot / 4 * 4)) + slot % 4;
  auto *v = const_cast<typename E::T *>(value_row<E>(c, head, slot));
  for (uint32_t d = 0; d < c.head_dim; d++) {
    k[d * 4] = E::from(key[d]);
    v[d] = E::from(value[d]);
  }
}

/// Scores of N queries against `Fours` x 4 slots from `keys`. `q` holds the
/// queries times E::root, side by side: (head_dim, N). On the way it touches the
/// keys that come next and the `values` of its own slots: in a long context
/// waiting for both took longer than computing.
template <class E, int N, int Fours>
inline void score(const typename E::T *keys, const typename E::T *values, uint32_t head_dim, const float *q,
                  float *scores) {
  v128 sum[N][Fours];
  for (auto &row : sum)
    for (v128 &s : row)
      s = zero();
  const F16Constants constants;
  const typename E::T *next = keys + size_t(Fours) * 4 * head_dim;
  constexpr int Step = 4; // divides every head_dim
  for (uint32_t d = 0; d < head_dim; d += Step) {
    touch(next + d * Fours * 4);
    touch(values + d * Fours * 4);
    for (int j = 0; j < Step; j++) {
      v128 k[Fours];
      for (int f = 0; f < Fours; f++)
        k[f] = E::load4(keys + (size_t(f) * head_dim + j) * 4, constants);
      for (int i = 0; i < N; i++) {
        const v128 x = load32_splat(q + j * N + i);
        for (int f = 0; f < Fours; f++) {
          sum[i][f] = madd_f32(x, k[f], sum[i][f]);
          pin(sum[i][f]);
        }
      }
    }
    keys += Step * 4;
    q += Step * N;
    pin(keys);
    pin(q);
  }
  for (int i = 0; i < N; i++)
    for (int f = 0; f < Fours; f++)
      store(scores + i * kKvBlock + f * 4, mul_f32(sum[i][f], splat_f32(E::root)));
}

/// out += weights of N queries times `count` rows of values, 8 columns at a time.
template <class E, int N>
inline void accumulate(const typename E::T *values, uint32_t head_dim, const Query *queries, const float *weights,
                       uint32_t count) {
  const F16Constants constants;
  for (uint32_t d = 0; d + 8 <= head_dim; d += 8) {
    v128 out[N][2];
    for (int i = 0; i < N; i++)
      for (int f = 0; f < 2; f++)
        out[i][f] = load(queries[i].out + d + f * 4);
    const typename E::T *row = values + d;
    for (uint32_t p = 0; p < count; p++, row += head_dim) {
      const v128 v0 = E::load4(row, constants), v1 = E::load4(row + 4, constants);
      for (int i = 0; i < N; i++) {
        const v128 w = load32_splat(weights + i * kKvBlock + p);
        out[i][0] = madd_f32(w, v0, out[i][0]);
        out[i][1] = madd_f32(w, v1, out[i][1]);
        pin(out[i][0]);
        pin(out[i][1]);
      }
    }
    for (int i = 0; i < N; i++)
      for (int f = 0; f < 2; f++)
        store(queries[i].out + d + f * 4, out[i][f]);
  }
}

/// Calls f(first, integral_constant<N>) over n queries in runs of at most E::at_once.
template <class E, class F> inline void in_runs(uint32_t n, F f) {
  uint32_t i = 0;
  if constexpr (E::at_once == 1) {
    for (; i < n; i++)
      f(i, std::integral_constant<int, 1>{});
    return;
  }
  for (; i + 4 <= n; i += 4)
    f(i, std::integral_constant<int, 4>{});
  if (n - i == 3) f(i, std::integral_constant<int, 3>{});
  if (n - i == 2) f(i, std::integral_constant<int, 2>{});
  if (n - i == 1) f(i, std::integral_constant<int, 1>{});
}

/// Softmax weights of one block of scores, kept relative to the running maximum.
template <class E> void soften(Query &q, float *scores, uint32_t position, float softcap_at, uint32_t head_dim) {
  if (softcap_at > 0) softcap(scores, softcap_at, kKvBlock);
  for (uint32_t p = 0; p < kKvBlock; p++)
    if (position + p < q.begin || position + p >= q.end) scores[p] = kMinusInfinity;
  v128 largest = load(scores);
  for (uint32_t p = 4; p < kKvBlock; p += 4)
    largest = max_f32(largest, load(scores + p));
  const float max = reduce_max_f32(largest);
  if (max > q.max) {
    const float shrink = q.max == kMinusInfinity ? 0 : std::exp(q.max - max);
    scale(q.out, shrink, head_dim);
    q.sum *= shrink;
    q.max = max;
  }
  const v128 offset = splat_f32(q.max == kMinusInfinity ? 0 : q.max);
  v128 sum = zero();
  for (uint32_t p = 0; p < kKvBlock; p += 4) {
    const v128 e = exp_f32(sub_f32(load(scores + p), offset));
    sum = add_f32(sum, e);
    store(scores + p, mul_f32(e, splat_f32(E::factor)));
  }
  q.sum += sum_f32(sum);
}

template <class E>
void attend_as(const KvLayer &c, uint32_t head, Query *queries, uint32_t n, uint32_t begin, uint32_t end,
               float softcap_at, float *scores) {
  for (uint32_t i = 0; i < n; i++) {
    queries[i].max = kMinusInfinity;
    queries[i].sum = 0;
    for (uint32_t d = 0; d < c.head_dim; d++)
      queries[i].out[d] = 0;
  }
  float *side_by_side = scores + kMaxQueries * kKvBlock;
  in_runs<E>(n, [&]<int N>(uint32_t first, std::integral_constant<int, N>) {
    float *q = side_by_side + first * c.head_dim;
    for (uint32_t d = 0; d < c.head_dim; d++)
      for (int i = 0; i < N; i++)
        *q++ = queries[first + i].q[d] * E::root;
  });
  for (uint32_t block = begin / kKvBlock * kKvBlock; block < end; block += kKvBlock) {
    const uint32_t slot = block % c.capacity, count = end - block < kKvBlock ? end - block : kKvBlock;
    const typename E::T *keys = key_block<E>(c, head, slot), *values = value_row<E>(c, head, slot);
    in_runs<E>(n, [&]<int N>(uint32_t i, std::integral_constant<int, N>) {
      for (uint32_t p = 0; p < kKvBlock; p += 8)
        score<E, N, 2>(keys + size_t(p) * c.head_dim, values + size_t(p) * c.head_dim, c.head_dim,
                       side_by_side + i * c.head_dim, scores + i * kKvBlock + p);
    });
    for (uint32_t i = 0; i < n; i++)
      soften<E>(queries[i], scores + i * kKvBlock, block, softcap_at, c.head_dim);
    in_runs<E>(n, [&]<int N>(uint32_t i, std::integral_constant<int, N>) {
      accumulate<E, N>(values, c.head_dim, queries + i, scores + i * kKvBlock, count);
    });
  }
}

} // namespace

void store_kv(KvLayer &cache, uint32_t head, uint32_t position, const float *key, const float *value) {
  if (cache.f16)
    store_kv_as<Half>(cache, head, position, key, value);
  else
    store_kv_as<Single>(cache, head, position, key, value);
}

void attend(const KvLayer &cache, uint32_t head, Query *queries, uint32_t n, uint32_t begin, uint32_t end,
            float softcap_at, float *scratch) {
  if (cache.f16)
    attend_as<Half>(cache, head, queries, n, begin, end, softcap_at, scratch);
  else
    attend_as<Single>(cache, head, queries, n, begin, end, softcap_at, scratch);
}

void merge(Query &into, const Query &from, uint32_t head_dim) {
  const float max = into.max > from.max ? into.max : from.max;
  if (max == kMinusInfinity) return;
  const float a = std::exp(into.max - max), b = std::exp(from.max - max);
  for (uint32_t d = 0; d < head_dim; d++)
    into.out[d] = into.out[d] * a + from.out[d] * b;
  into.sum = into.sum * a + from.sum * b;
  into.max = max;
}

void finish(Query &q, uint32_t head_dim) { scale(q.out, 1 / q.sum, head_dim); }

void attend_segments(const KvLayer &cache, uint32_t head, Query *queries, uint32_t n, uint32_t begin, uint32_t end,
                     float softcap_at, float *scratch) {
  float *outs = scratch + kMaxQueries * (kKvBlock + size_t(cache.head_dim));
  Query parts[kMaxQueries];
  const uint32_t base = begin / kSegment * kSegment;
  for (uint32_t from = base; from < end; from += kSegment) {
    const uint32_t to = end - from < kSegment ? end : from + kSegment;
    if (from == base) {
      attend(cache, head, queries, n, begin, to, softcap_at, scratch);
      continue;
    }
    for (uint32_t i = 0; i < n; i++) {
      parts[i] = queries[i];
      parts[i].out = outs + size_t(i) * cache.head_dim;
    }
    attend(cache, head, parts, n, from, to, softcap_at, scratch);
    for (uint32_t i = 0; i < n; i++)
      merge(queries[i], parts[i], cache.head_dim);
  }
  for (uint32_t i = 0; i < n; i++)
    finish(queries[i], cache.head_dim);
}

} // namespace slm
