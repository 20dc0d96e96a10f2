// simd.h: the 128-bit vector operations that the kernels are written in. In
// WebAssembly each is one intrinsic; natively each is a plain loop, the scalar
// twin, so that the very same kernels run under ASan and UBSan and can be
// compared lane by lane. Knows nothing of models or block formats.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#ifdef __wasm_simd128__
#include <wasm_simd128.h>
#endif

namespace slm::simd {

#ifdef __wasm_simd128__

using v128 = v128_t;

inline v128 load(const void *p) { return wasm_v128_load(p); }
inline void store(void *p, v128 v) { wasm_v128_store(p, v); }
inline v128 load32_splat(const void *p) { return wasm_v128_load32_splat(p); }
inline v128 load64_splat(const void *p) { return wasm_v128_load64_splat(p); }
inline v128 load16x4_s(const void *p) { return wasm_i32x4_load16x4(p); }
inline v128 load16x4_u(const void *p) { return wasm_u32x4_load16x4(p); }
inline v128 load8x4_u(const void *p) {
  return wasm_u32x4_extend_low_u16x8(wasm_u16x8_extend_low_u8x16(wasm_v128_load32_zero(p)));
}
inline v128 load8x4_s(const void *p) {
  return wasm_i32x4_extend_low_i16x8(wasm_i16x8_extend_low_i8x16(wasm_v128_load32_zero(p)));
}
inline v128 load8x8_s(const void *p) { return wasm_i16x8_load8x8(p); }
inline v128 zero() { return wasm_i64x2_const_splat(0); }
inline v128 splat_u8(uint8_t x) { return wasm_u8x16_splat(x); }
inline v128 splat_i32(int32_t x) { return wasm_i32x4_splat(x); }
inline v128 splat_f32(float x) { return wasm_f32x4_splat(x); }
inline v128 and_(v128 a, v128 b) { return wasm_v128_and(a, b); }
inline v128 or_(v128 a, v128 b) { return wasm_v128_or(a, b); }
inline v128 select(v128 if_set, v128 if_clear, v128 mask) { return wasm_v128_bitselect(if_set, if_clear, mask); }
/// Shifts of 16-bit lanes: with a mask after them they serve for bytes, whose
/// own shifts x86 does not have.
inline v128 shl16(v128 a, int n) { return wasm_i16x8_shl(a, n); }
inline v128 shr16(v128 a, int n) { return wasm_u16x8_shr(a, n); }
inline v128 shl32(v128 a, int n) { return wasm_i32x4_shl(a, n); }
inline v128 shr32(v128 a, int n) { return wasm_u32x4_shr(a, n); }
inline v128 lookup(v128 table, v128 index) {
#ifdef __wasm_relaxed_simd__
  return wasm_i8x16_relaxed_swizzle(table, index);
#else
  return wasm_i8x16_swizzle(table, index);
#endif
}
inline v128 add_i32(v128 a, v128 b) { return wasm_i32x4_add(a, b); }
inline v128 add_i16(v128 a, v128 b) { return wasm_i16x8_add(a, b); }
inline v128 add_f32(v128 a, v128 b) { return wasm_f32x4_add(a, b); }
inline v128 sub_f32(v128 a, v128 b) { return wasm_f32x4_sub(a, b); }
inline v128 mul_f32(v128 a, v128 b) { return wasm_f32x4_mul(a, b); }
inline v128 div_f32(v128 a, v128 b) { return wasm_f32x4_div(a, b); }
inline v128 max_f32(v128 a, v128 b) { return wasm_f32x4_pmax(a, b); }
inline v128 min_f32(v128 a, v128 b) { return wasm_f32x4_pmin(a, b); }
/// All ones where a > b.
inline v128 greater_f32(v128 a, v128 b) { return wasm_f32x4_gt(a, b); }
inline v128 abs_f32(v128 a) { return wasm_f32x4_abs(a); }
inline v128 nearest_f32(v128 a) { return wasm_f32x4_nearest(a); }
inline v128 to_f32(v128 i32) { return wasm_f32x4_convert_i32x4(i32); }
inline v128 to_i32(v128 f32) { return wasm_i32x4_trunc_sat_f32x4(f32); }
/// a * b + c
inline v128 madd_f32(v128 a, v128 b, v128 c) {
#ifdef __wasm_relaxed_simd__
  return wasm_f32x4_relaxed_madd(a, b, c);
#else
  return wasm_f32x4_add(wasm_f32x4_mul(a, b), c);
#endif
}
template <int I> inline float lane_f32(v128 v) { return wasm_f32x4_extract_lane(v, I); }
/// Sums of neighbouring int16 lanes as int32.
inline v128 widen_add_i16(v128 a) { return wasm_i32x4_extadd_pairwise_i16x8(a); }
inline v128 extend_low_i8(v128 a) { return wasm_i16x8_extend_low_i8x16(a); }
inline v128 extend_high_i8(v128 a) { return wasm_i16x8_extend_high_i8x16(a); }
inline v128 extend_low_u8(v128 a) { return wasm_u16x8_extend_low_u8x16(a); }
inline v128 extend_high_u8(v128 a) { return wasm_u16x8_extend_high_u8x16(a); }
/// Sums of neighbouring int16 products as int32.
inline v128 dot_i16(v128 a, v128 b) { return wasm_i32x4_dot_i16x8(a, b); }
/// {a0 + a1, a2 + a3, b0 + b1, b2 + b3}
inline v128 pairwise_add_i32(v128 a, v128 b) {
  return wasm_i32x4_add(wasm_i32x4_shuffle(a, b, 0, 2, 4, 6), wasm_i32x4_shuffle(a, b, 1, 3, 5, 7));
}
/// Narrows two vectors of int32 within int16's range to int16.
inline v128 narrow_i32_to_i16(v128 a, v128 b) { return wasm_i16x8_narrow_i32x4(a, b); }
/// Narrows four vectors of int32 within int8's range to int8.
inline v128 narrow_i32_to_i8(v128 a, v128 b, v128 c, v128 d) {
  return wasm_i8x16_narrow_i16x8(wasm_i16x8_narrow_i32x4(a, b), wasm_i16x8_narrow_i32x4(c, d));
}
#ifdef __wasm_relaxed_simd__
/// acc += groups of four products, `weights` unsigned below 128.
inline v128 dot_i8_i7_add(v128 x, v128 weights, v128 acc) {
  return wasm_i32x4_relaxed_dot_i8x16_i7x16_add(x, weights, acc);
}
/// Pairs of products as int16, `weights` unsigned below 128.
inline v128 dot_i8_i7_i16(v128 x, v128 weights) { return wasm_i16x8_relaxed_dot_i8x16_i7x16(x, weights); }
#endif

#else // the scalar twin

struct alignas(16) v128 {
  uint8_t b[16];
};

template <class T> struct Lanes {
  T v[16 / sizeof(T)];
};
template <class T> inline Lanes<T> as(v128 a) {
  Lanes<T> r;
  std::memcpy(&r, &a, 16);
  return r;
}
template <class T> inline v128 from(const Lanes<T> &l) {
  v128 r;
  std::memcpy(&r, &l, 16);
  return r;
}
/// Applies `f` to every lane of type T.
template <class T, class F> inline v128 each(v128 a, F f) {
  Lanes<T> x = as<T>(a);
  for (T &v : x.v)
    v = static_cast<T>(f(v));
  return from(x);
}
template <class T, class F> inline v128 each(v128 a, v128 b, F f) {
  Lanes<T> x = as<T>(a), y = as<T>(b);
  for (size_t i = 0; i < 16 / sizeof(T); i++)
    x.v[i] = static_cast<T>(f(x.v[i], y.v[i]));
  return from(x);
}
template <class T> inline v128 splat(T value) {
  Lanes<T> r;
  for (T &v : r.v)
    v = value;
  return from(r);
}

inline v128 load(const void *p) {
  v128 r;
  std::memcpy(&r, p, 16);
  return r;
}
inline void store(void *p, v128 v) { std::memcpy(p, &v, 16); }
inline v128 load32_splat(const void *p) {
  uint32_t x;
  std::memcpy(&x, p, 4);
  return splat(x);
}
inline v128 load64_splat(const void *p) {
  uint64_t x;
  std::memcpy(&x, p, 8);
  return splat(x);
}
template <class Narrow> inline v128 load16x4(const void *p) {
  Narrow x[4];
  std::memcpy(x, p, 8);
  return from(Lanes<int32_t>{{x[0], x[1], x[2], x[3]}});
}
inline v128 load16x4_s(const void *p) { return load16x4<int16_t>(p); }
inline v128 load16x4_u(const void *p) { return load16x4<uint16_t>(p); }
template <class Narrow> inline v128 load8x4(const void *p) {
  Narrow x[4];
  std::memcpy(x, p, 4);
  return from(Lanes<int32_t>{{x[0], x[1], x[2], x[3]}});
}
inline v128 load8x4_u(const void *p) { return load8x4<uint8_t>(p); }
inline v128 load8x4_s(const void *p) { return load8x4<int8_t>(p); }
inline v128 load8x8_s(const void *p) {
  int8_t x[8];
  std::memcpy(x, p, 8);
  return from(Lanes<int16_t>{{x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]}});
}
inline v128 zero() { return splat<uint32_t>(0); }
inline v128 splat_u8(uint8_t x) { return splat(x); }
inline v128 splat_i32(int32_t x) { return splat(x); }
inline v128 splat_f32(float x) { return splat(x); }
inline v128 and_(v128 a, v128 b) {
  return each<uint32_t>(a, b, [](uint32_t x, uint32_t y) { return x & y; });
}
inline v128 or_(v128 a, v128 b) {
  return each<uint32_t>(a, b, [](uint32_t x, uint32_t y) { return x | y; });
}
inline v128 select(v128 if_set, v128 if_clear, v128 mask) {
  return or_(and_(if_set, mask), and_(if_clear, each<uint32_t>(mask, [](uint32_t x) { return ~x; })));
}
inline v128 shl16(v128 a, int n) {
  return each<uint16_t>(a, [n](uint16_t x) { return x << n; });
}
inline v128 shr16(v128 a, int n) {
  return each<uint16_t>(a, [n](uint16_t x) { return x >> n; });
}
inline v128 shl32(v128 a, int n) {
  return each<uint32_t>(a, [n](uint32_t x) { return x << n; });
}
inline v128 shr32(v128 a, int n) {
  return each<uint32_t>(a, [n](uint32_t x) { return x >> n; });
}
inline v128 lookup(v128 table, v128 index) {
  v128 r;
  for (int i = 0; i < 16; i++)
    r.b[i] = index.b[i] < 16 ? table.b[index.b[i]] : 0;
  return r;
}
inline v128 add_i32(v128 a, v128 b) {
  return each<uint32_t>(a, b, [](uint32_t x, uint32_t y) { return x + y; });
}
inline v128 add_i16(v128 a, v128 b) {
  return each<uint16_t>(a, b, [](uint16_t x, uint16_t y) { return x + y; });
}
inline v128 add_f32(v128 a, v128 b) {
  return each<float>(a, b, [](float x, float y) { return x + y; });
}
inline v128 sub_f32(v128 a, v128 b) {
  return each<float>(a, b, [](float x, float y) { return x - y; });
}
inline v128 mul_f32(v128 a, v128 b) {
  return each<float>(a, b, [](float x, float y) { return x * y; });
}
inline v128 div_f32(v128 a, v128 b) {
  return each<float>(a, b, [](float x, float y) { return x / y; });
}
inline v128 max_f32(v128 a, v128 b) {
  return each<float>(a, b, [](float x, float y) { return x < y ? y : x; });
}
inline v128 min_f32(v128 a, v128 b) {
  return each<float>(a, b, [](float x, float y) { return y < x ? y : x; });
}
inline v128 greater_f32(v128 a, v128 b) {
  Lanes<float> x = as<float>(a), y = as<float>(b);
  Lanes<uint32_t> r;
  for (int i = 0; i < 4; i++)
    r.v[i] = x.v[i] > y.v[i] ? 0xffffffffu : 0;
  return from(r);
}
inline v128 abs_f32(v128 a) {
  return each<float>(a, [](float x) { return std::fabs(x); });
}
inline v128 nearest_f32(v128 a) {
  return each<float>(a, [](float x) { return std::nearbyint(x); });
}
inline v128 to_f32(v128 i32) {
  Lanes<int32_t> x = as<int32_t>(i32);
  return from(Lanes<float>{{float(x.v[0]), float(x.v[1]), float(x.v[2]), float(x.v[3])}});
}
inline v128 to_i32(v128 f32) {
  Lanes<float> x = as<float>(f32);
  Lanes<int32_t> r;
  for (int i = 0; i < 4; i++) // saturating, NaN to 0, as WebAssembly defines it
    r.v[i] = x.v[i] >= 2147483648.f   ? INT32_MAX
             : x.v[i] > -2147483904.f ? int32_t(x.v[i])
             : x.v[i] == x.v[i]       ? INT32_MIN
                                      : 0;
  return from(r);
}
inline v128 madd_f32(v128 a, v128 b, v128 c) { return add_f32(mul_f32(a, b), c); }
template <int I> inline float lane_f32(v128 v) { return as<float>(v).v[I]; }
inline v128 widen_add_i16(v128 a) {
  Lanes<int16_t> x = as<int16_t>(a);
  Lanes<int32_t> r;
  for (int i = 0; i < 4; i++)
    r.v[i] = x.v[2 * i] + x.v[2 * i + 1];
  return from(r);
}
template <class Narrow> inline v128 extend(v128 a, int from_lane) {
  Lanes<Narrow> x = as<Narrow>(a);
  Lanes<int16_t> r;
  for (int i = 0; i < 8; i++)
    r.v[i] = x.v[from_lane + i];
  return from(r);
}
inline v128 extend_low_i8(v128 a) { return extend<int8_t>(a, 0); }
inline v128 extend_high_i8(v128 a) { return extend<int8_t>(a, 8); }
inline v128 extend_low_u8(v128 a) { return extend<uint8_t>(a, 0); }
inline v128 extend_high_u8(v128 a) { return extend<uint8_t>(a, 8); }
inline v128 dot_i16(v128 a, v128 b) {
  Lanes<int16_t> x = as<int16_t>(a), y = as<int16_t>(b);
  Lanes<int32_t> r;
  for (int i = 0; i < 4; i++)
    r.v[i] = x.v[2 * i] * y.v[2 * i] + x.v[2 * i + 1] * y.v[2 * i + 1];
  return from(r);
}
inline v128 pairwise_add_i32(v128 a, v128 b) {
  Lanes<int32_t> x = as<int32_t>(a), y = as<int32_t>(b);
  return from(Lanes<int32_t>{{x.v[0] + x.v[1], x.v[2] + x.v[3], y.v[0] + y.v[1], y.v[2] + y.v[3]}});
}
inline v128 narrow_i32_to_i16(v128 a, v128 b) {
  const v128 parts[2] = {a, b};
  Lanes<int16_t> r;
  for (int i = 0; i < 8; i++) {
    int32_t x = as<int32_t>(parts[i / 4]).v[i % 4];
    r.v[i] = static_cast<int16_t>(x < -32768 ? -32768 : x > 32767 ? 32767 : x);
  }
  return from(r);
}
inline v128 narrow_i32_to_i8(v128 a, v128 b, v128 c, v128 d) {
  const v128 parts[4] = {a, b, c, d};
  Lanes<int8_t> r;
  for (int i = 0; i < 16; i++) {
    int32_t x = as<int32_t>(parts[i / 4]).v[i % 4];
    r.v[i] = static_cast<int8_t>(x < -128 ? -128 : x > 127 ? 127 : x);
  }
  return from(r);
}

#endif

// What both have in common.

/// Makes the compiler compute `v` here and not later. LLVM builds expression
/// trees for WebAssembly's stack: it would compute a tile's sums one after the
/// other, each as one deep tree, with all that they share held in memory.
inline void pin(v128 &v) {
#ifdef __wasm_simd128__
  asm volatile("" : "+r"(v));
#else
  (void)v;
#endif
}
/// A constant that stays in a register: V8 would build it again at every use.
inline v128 constant(v128 v) {
#ifdef __wasm_simd128__
  asm("" : "+r"(v));
#endif
  return v;
}
/// Hides where a pointer comes from, so that loads fold constant offsets from it
/// instead of adding up an index of their own.
template <class T> inline void pin(T *&p) { asm volatile("" : "+r"(p)); }

/// 32-bit lane I in every lane.
template <int I> inline v128 splat_lane(v128 v) {
#ifdef __wasm_simd128__
  return wasm_i32x4_shuffle(v, v, I, I, I, I);
#else
  return splat(as<uint32_t>(v).v[I]);
#endif
}
/// The I-th half in both halves.
template <int I> inline v128 splat_half(v128 v) {
#ifdef __wasm_simd128__
  return wasm_i64x2_shuffle(v, v, I, I);
#else
  return splat(as<uint64_t>(v).v[I]);
#endif
}
/// Loads a byte of a cache line that is needed soon, for WebAssembly has no
/// prefetch. It must lie in memory; nothing waits for what it loads.
inline void touch(const void *p) {
#ifdef __wasm__
  (void)*static_cast<const volatile uint8_t *>(p);
#else
  (void)p;
#endif
}

/// The sum of four lanes.
inline float sum_f32(v128 v) { return (lane_f32<0>(v) + lane_f32<1>(v)) + (lane_f32<2>(v) + lane_f32<3>(v)); }
/// The largest of four lanes.
inline float reduce_max_f32(v128 v) {
  const float a = lane_f32<0>(v) > lane_f32<1>(v) ? lane_f32<0>(v) : lane_f32<1>(v);
  const float b = lane_f32<2>(v) > lane_f32<3>(v) ? lane_f32<2>(v) : lane_f32<3>(v);
  return a > b ? a : b;
}

/// Four f16 as f32, exact for every finite value: the bits move into f32's
/// exponent, which is then 112 too small. Infinities and NaNs become large
/// finite numbers; no well-formed model has them.
struct F16Constants {
  v128 bits = constant(splat_i32(static_cast<int32_t>(0x8FFFE000u))), factor = constant(splat_f32(0x1p112f));
};
inline v128 load_f16x4(const void *p, const F16Constants &k) {
  return mul_f32(and_(shl32(load16x4_s(p), 13), k.bits), k.factor);
}
inline v128 load_bf16x4(const void *p) { return shl32(load16x4_u(p), 16); }

} // namespace slm::simd
