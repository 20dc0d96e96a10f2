// dot.h: the forms of the integer dot product, as accumulators. Each adds
// four-element products of int8 activations and unsigned weights below 128 and
// gives int32 sums, a lane per row; all are exact, so all give the same sums.
// Which is fastest depends on what the browser makes of the instruction.
#pragma once

#include "simd.h"

namespace slm::dot {

using namespace simd;

/// Signed 16-bit products of widened bytes: plain SIMD128, on every machine.
struct Widen {
  static constexpr const char *name = "i16x8 widened";
  template <int MaxQ> struct Sum {
    v128 low = zero(), high = zero();
    inline void add(v128 x, v128 q) {
      low = add_i32(low, dot_i16(extend_low_i8(x), extend_low_u8(q)));
      high = add_i32(high, dot_i16(extend_high_i8(x), extend_high_u8(q)));
    }
    template <int> inline void flush() {}
    inline v128 total() const { return pairwise_add_i32(low, high); }
  };
};

#ifdef __wasm_relaxed_simd__

/// One instruction with AVX-VNNI or Arm's DotProd, five without.
struct RelaxedI32 {
  static constexpr const char *name = "i32x4 relaxed";
  template <int MaxQ> struct Sum {
    v128 acc = zero();
    inline void add(v128 x, v128 q) { acc = dot_i8_i7_add(x, q, acc); }
    template <int> inline void flush() {}
    inline v128 total() const { return acc; }
  };
};

/// One instruction on every x86-64: pairs in int16, widened before they can
/// overflow (a pair is at most 2 * 127 * MaxQ).
struct RelaxedI16 {
  static constexpr const char *name = "i16x8 relaxed";
  template <int MaxQ> struct Sum {
    static constexpr int safe_steps = 32767 / (2 * 127 * MaxQ);
    v128 acc16 = zero(), acc = zero();
    inline void add(v128 x, v128 q) { acc16 = add_i16(acc16, dot_i8_i7_i16(x, q)); }
    /// Called after step T (from 0).
    template <int T> inline void flush() {
      if constexpr ((T + 1) % safe_steps == 0) {
        acc = add_i32(acc, widen_add_i16(acc16));
        acc16 = zero();
      }
    }
    inline v128 total() const { return add_i32(acc, widen_add_i16(acc16)); }
  };
};

#endif

} // namespace slm::dot
