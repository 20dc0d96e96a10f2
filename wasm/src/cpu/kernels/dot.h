// dot.h: the forms of the integer dot product, as accumulators. Each adds
// four-element products of quantized activations (the same four for every row)
// and weights, and gives int32 sums, a lane per row; all are exact, so all give
// the same sums. But for Signed, activations are int8 and weights unsigned below
// 128.
// Which is fastest depends on what the browser makes of the instruction.
#pragma once

#include "../../simd.h"

namespace slm::dot {

using namespace simd;

/// Signed 16-bit products of widened bytes: plain SIMD128, on every machine.
struct Widen {
  static constexpr const char *name = "i16x8 widened";
  template <int MaxQ, int Steps> struct Sum {
    v128 low = zero(), high = zero();
    inline void add(v128 x, v128 q) {
      const v128 wide = extend_low_i8(x);
      low = add_i32(low, dot_i16(wide, extend_low_u8(q)));
      high = add_i32(high, dot_i16(wide, extend_high_u8(q)));
    }
    template <int> inline void flush() {
      pin(low);
      pin(high);
    }
    inline v128 total() const { return pairwise_add_i32(low, high); }
  };
};

/// Signed 8-bit weights, on every machine and under every other form: they do
/// not fit the operand that the relaxed instructions promise to treat alike
/// everywhere. Takes what a signed format's step gives, rows 0 and 1 and then 2
/// and 3 as int16, and four activations as int16, twice: their finer rounding
/// costs nothing here. 32 products stay below 2^28.
struct Signed {
  template <int, int> struct Sum {
    v128 rows01 = zero(), rows23 = zero();
    inline void add(v128 x, const v128 (&q)[2]) {
      rows01 = add_i32(rows01, dot_i16(x, q[0]));
      rows23 = add_i32(rows23, dot_i16(x, q[1]));
    }
    template <int> inline void flush() {
      pin(rows01);
      pin(rows23);
    }
    inline v128 total() const { return pairwise_add_i32(rows01, rows23); }
  };
};

#ifdef __wasm_relaxed_simd__

/// One instruction with AVX-VNNI or Arm's DotProd, five without.
struct RelaxedI32 {
  static constexpr const char *name = "i32x4 relaxed";
  template <int MaxQ, int Steps> struct Sum {
    v128 acc = zero();
    inline void add(v128 x, v128 q) { acc = dot_i8_i7_add(x, q, acc); }
    template <int> inline void flush() { pin(acc); }
    inline v128 total() const { return acc; }
  };
};

/// One instruction on every x86-64: pairs in int16, widened before they can
/// overflow (a pair is at most 2 * 127 * MaxQ).
struct RelaxedI16 {
  static constexpr const char *name = "i16x8 relaxed";
  template <int MaxQ, int Steps> struct Sum {
    static constexpr int safe_steps = 32767 / (2 * 127 * MaxQ);
    static constexpr bool widens = Steps > safe_steps; // before the end
    v128 acc16 = zero(), acc = zero();
    inline void add(v128 x, v128 q) { acc16 = add_i16(acc16, dot_i8_i7_i16(x, q)); }
    /// Called after step T (from 0).
    template <int T> inline void flush() {
      if constexpr (widens && (T + 1) % safe_steps == 0) {
        acc = add_i32(acc, widen_add_i16(acc16));
        acc16 = zero();
        pin(acc);
      } else {
        pin(acc16);
      }
    }
    inline v128 total() const { return widens ? add_i32(acc, widen_add_i16(acc16)) : widen_add_i16(acc16); }
  };
};

#endif

} // namespace slm::dot
