// formats.h: how quantized weights lie in memory, and how a kernel reads them.
//
// Four rows are interleaved, four bytes at a time, so that one 128-bit vector
// holds bytes of four rows and each int32 lane of a dot product belongs to one
// row: no horizontal sums, and an activation is broadcast from memory. The bits
// of a GGUF block are kept as they are (repacking moves words, never rounds);
// scales follow the quants, one vector's worth per four rows.
//
// A format answers, for one packed block of four rows:
//   columns    elements of a row in the block
//   bytes      of the packed block (four rows)
//   sub        consecutive elements that share a scale: 32 or 16
//   planes     1, or 2 when a value has 8 bits: it is split into nibbles, since
//              the fast dot product takes unsigned values below 128
//   max_q      the largest value a plane holds
//   step<S,T>  plane values of elements 4T..4T+3 of sub-block S, as bytes
//   Scales     scale<S>, min<S>: value = scale * q + min, a lane per row
//   pack       copies four GGUF blocks of the same columns into one
//
// Block layouts are ggml's (ggml-common.h); the bit positions are theirs.
#pragma once

#include <cstdint>
#include <cstring>

#include "f16.h"
#include "matmul.h"
#include "simd.h"

namespace slm {

using simd::v128;

namespace formats {

using namespace simd;

/// Interleaves `n` bytes of four rows, four bytes at a time.
inline void interleave(uint8_t *out, const uint8_t *const (&rows)[kRows], size_t at, size_t n) {
  for (size_t i = 0; i < n; i += 4)
    for (uint32_t r = 0; r < kRows; r++)
      std::memcpy(out + i * kRows + r * 4, rows[r] + at + i, 4);
}
/// Copies one 16-bit value of each row next to each other.
inline void gather16(uint8_t *out, const uint8_t *const (&rows)[kRows], size_t at) {
  for (uint32_t r = 0; r < kRows; r++)
    std::memcpy(out + r * 2, rows[r] + at, 2);
}

/// The same value as float32. A K-quant's f16 scale covers 256 elements, and
/// real ones are often subnormal: converted at run time each would cost a
/// microcode assist of a hundred cycles on x86, stored it costs eight bytes.
inline void gather16_as_f32(uint8_t *out, const uint8_t *const (&rows)[kRows], size_t at) {
  for (uint32_t r = 0; r < kRows; r++) {
    uint16_t h;
    std::memcpy(&h, rows[r] + at, 2);
    const float f = f16_to_f32(h);
    std::memcpy(out + r * 4, &f, 4);
  }
}

template <int Bits> inline v128 low_bits(v128 v) { return and_(v, splat_u8((1 << Bits) - 1)); }
/// Bits [At, At + Bits) of every byte.
template <int At, int Bits> inline v128 field(v128 v) {
  if constexpr (At == 0) return low_bits<Bits>(v);
  return low_bits<Bits>(shr16(v, At));
}
/// Bits [At, At + Bits) of every byte, moved to [To, To + Bits).
template <int At, int Bits, int To> inline v128 field_to(v128 v) {
  const v128 mask = splat_u8(((1 << Bits) - 1) << To);
  if constexpr (At > To) return and_(shr16(v, At - To), mask);
  if constexpr (At < To) return and_(shl16(v, To - At), mask);
  return and_(v, mask);
}

// ---- blocks of 32 with one scale (and minimum): Q4_0 Q4_1 Q5_0 Q5_1 ----------

/// `Bits` 4 or 5; `HasMin`: a stored minimum, else values are centred on zero.
template <int Bits, bool HasMin> struct Legacy {
  static constexpr uint32_t columns = 32, sub = 32;
  static constexpr int planes = 1, max_q = (1 << Bits) - 1;
  static constexpr uint32_t high = 64, scales = high + (Bits == 5 ? 16 : 0), bytes = scales + 8 + (HasMin ? 8 : 0);

  template <int, int T> static void step(const uint8_t *b, v128 (&q)[1]) {
    q[0] = field<T / 4 * 4, 4>(load(b + T % 4 * 16));
    if constexpr (Bits == 5) q[0] = or_(q[0], field_to<T, 1, 4>(load(b + high)));
  }

  struct Scales {
    explicit Scales(const uint8_t *b) : d(load_f16x4(b + scales)) {
      if constexpr (HasMin)
        m = load_f16x4(b + scales + 8);
      else
        m = mul_f32(d, splat_f32(-float(1 << (Bits - 1))));
    }
    template <int> v128 scale() const { return d; }
    template <int> v128 min() const { return m; }
    v128 d, m;
  };

  static constexpr uint32_t file_bytes = bytes / kRows;
  static void pack(const uint8_t *const (&rows)[kRows], uint8_t *out) {
    const size_t qh = HasMin ? 4 : 2, qs = qh + (Bits == 5 ? 4 : 0);
    interleave(out, rows, qs, 16);
    gather16(out + scales, rows, 0);
    if constexpr (HasMin) gather16(out + scales + 8, rows, 2);
    if constexpr (Bits == 5)
      for (uint32_t r = 0; r < kRows; r++) {
        uint32_t x; // bit 4t+j is the high bit of element 4t+j: byte j collects its eight t
        std::memcpy(&x, rows[r] + qh, 4);
        for (uint32_t j = 0; j < 4; j++) {
          uint32_t y = x >> j & 0x11111111;
          y = (y | y >> 3) & 0x03030303;
          y = (y | y >> 6) & 0x000f000f;
          out[high + r * 4 + j] = static_cast<uint8_t>(y | y >> 12);
        }
      }
  }
};
using Q4_0 = Legacy<4, false>;
using Q4_1 = Legacy<4, true>;
using Q5_0 = Legacy<5, false>;
using Q5_1 = Legacy<5, true>;

// ---- 8-bit blocks of 32 --------------------------------------------------------

struct Q8_0 {
  static constexpr uint32_t columns = 32, sub = 32, scales = 128, bytes = scales + 8, file_bytes = 34;
  static constexpr int planes = 2, max_q = 15;

  template <int, int T> static void step(const uint8_t *b, v128 (&q)[2]) {
    const v128 x = load(b + T * 16); // stored plus 128
    q[0] = field<0, 4>(x);
    q[1] = field<4, 4>(x);
  }
  struct Scales {
    explicit Scales(const uint8_t *b) : d(load_f16x4(b + scales)) {}
    template <int> v128 scale() const { return d; }
    template <int> v128 min() const { return mul_f32(d, splat_f32(-128)); }
    v128 d;
  };
  static void pack(const uint8_t *const (&rows)[kRows], uint8_t *out) {
    interleave(out, rows, 2, 32);
    for (uint32_t i = 0; i < 128; i++)
      out[i] ^= 0x80;
    gather16(out + scales, rows, 0);
  }
};

// ---- IQ4_NL: 4-bit indices into a table of 8-bit values --------------------------

struct IQ4_NL {
  static constexpr uint32_t columns = 32, sub = 32, scales = 64, bytes = scales + 8, file_bytes = 18;
  static constexpr int planes = 2, max_q = 15;
  // The table plus 127, as low and high nibbles: -127 -104 -83 -65 -49 -35 -22 -10 1 13 25 38 53 69 89 113.
  static constexpr uint8_t low[16] = {0, 7, 12, 14, 14, 12, 9, 5, 0, 12, 8, 5, 4, 4, 8, 0};
  static constexpr uint8_t high[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 10, 11, 12, 13, 15};

  template <int, int T> static void step(const uint8_t *b, v128 (&q)[2]) {
    const v128 index = field<T / 4 * 4, 4>(load(b + T % 4 * 16));
    q[0] = lookup(load(low), index);
    q[1] = lookup(load(high), index);
  }
  struct Scales {
    explicit Scales(const uint8_t *b) : d(load_f16x4(b + scales)) {}
    template <int> v128 scale() const { return d; }
    template <int> v128 min() const { return mul_f32(d, splat_f32(-127)); }
    v128 d;
  };
  static void pack(const uint8_t *const (&rows)[kRows], uint8_t *out) {
    interleave(out, rows, 2, 16);
    gather16(out + scales, rows, 0);
  }
};

// ---- K-quants: 256 elements, scales of sub-blocks quantized too -------------------

/// Q4_K and Q5_K: eight sub-blocks of 32, 6-bit scales and minimums.
template <int Bits> struct K32 {
  static constexpr uint32_t columns = 256, sub = 32;
  static constexpr int planes = 1, max_q = (1 << Bits) - 1;
  static constexpr uint32_t high = 512, super = high + (Bits == 5 ? 128 : 0), subs = super + 32, bytes = subs + 64;
  static constexpr uint32_t file_bytes = Bits == 5 ? 176 : 144;

  template <int S, int T> static void step(const uint8_t *b, v128 (&q)[1]) {
    q[0] = field<S % 2 * 4, 4>(load(b + (S / 2 * 8 + T) * 16));
    if constexpr (Bits == 5) q[0] = or_(q[0], field_to<S, 1, 4>(load(b + high + T * 16)));
  }
  struct Scales {
    explicit Scales(const uint8_t *b)
        : at(b + subs), d(load(b + super)), m(mul_f32(load(b + super + 16), splat_f32(-1))) {}
    template <int S> v128 scale() const { return mul_f32(d, to_f32(load8x4_u(at + S * 8))); }
    template <int S> v128 min() const { return mul_f32(m, to_f32(load8x4_u(at + S * 8 + 4))); }
    const uint8_t *at;
    v128 d, m;
  };
  static void pack(const uint8_t *const (&rows)[kRows], uint8_t *out) {
    interleave(out, rows, Bits == 5 ? 48 : 16, 128);
    if constexpr (Bits == 5) interleave(out + high, rows, 16, 32);
    gather16_as_f32(out + super, rows, 0);
    gather16_as_f32(out + super + 16, rows, 2);
    for (uint32_t r = 0; r < kRows; r++) {
      const uint8_t *s = rows[r] + 4; // 12 bytes: 8 scales and 8 minimums of 6 bits
      for (uint32_t i = 0; i < 8; i++) {
        uint8_t *to = out + subs + i * 8 + r;
        to[0] = i < 4 ? s[i] & 63 : static_cast<uint8_t>((s[i + 4] & 15) | (s[i - 4] >> 6) << 4);
        to[4] = i < 4 ? s[i + 4] & 63 : static_cast<uint8_t>(s[i + 4] >> 4 | (s[i] >> 6) << 4);
      }
    }
  }
};
using Q4_K = K32<4>;
using Q5_K = K32<5>;

/// Q6_K: sixteen sub-blocks of 16 with signed 8-bit scales, values minus 32.
struct Q6_K {
  static constexpr uint32_t columns = 256, sub = 16, high = 512, subs = 768, super = 832, bytes = 848, file_bytes = 210;
  static constexpr int planes = 1, max_q = 63;

  template <int S, int T> static void step(const uint8_t *b, v128 (&q)[1]) {
    constexpr int half = S / 8, quarter = S % 8 / 2, word = S % 2 * 4 + T; // 32 elements a quarter
    q[0] = or_(field<quarter / 2 * 4, 4>(load(b + (half * 16 + quarter % 2 * 8 + word) * 16)),
               field_to<quarter * 2, 2, 4>(load(b + high + (half * 8 + word) * 16)));
  }
  struct Scales {
    explicit Scales(const uint8_t *b) : at(b + subs), d(load(b + super)) {}
    template <int S> v128 scale() const { return mul_f32(d, to_f32(load8x4_s(at + S * 4))); }
    template <int S> v128 min() const { return mul_f32(scale<S>(), splat_f32(-32)); }
    const uint8_t *at;
    v128 d;
  };
  static void pack(const uint8_t *const (&rows)[kRows], uint8_t *out) {
    interleave(out, rows, 0, 128);
    interleave(out + high, rows, 128, 64);
    for (uint32_t r = 0; r < kRows; r++)
      for (uint32_t i = 0; i < 16; i++)
        out[subs + i * 4 + r] = rows[r][192 + i];
    gather16_as_f32(out + super, rows, 208);
  }
};

/// Q3_K: sixteen sub-blocks of 16 with 6-bit scales minus 32, values minus 4.
struct Q3_K {
  static constexpr uint32_t columns = 256, sub = 16, high = 256, subs = 384, super = 448, bytes = 464, file_bytes = 110;
  static constexpr int planes = 1, max_q = 7;

  template <int S, int T> static void step(const uint8_t *b, v128 (&q)[1]) {
    constexpr int half = S / 8, quarter = S % 8 / 2, word = S % 2 * 4 + T;
    q[0] =
        or_(field<quarter * 2, 2>(load(b + (half * 8 + word) * 16)), field_to<S / 2, 1, 2>(load(b + high + word * 16)));
  }
  struct Scales {
    explicit Scales(const uint8_t *b) : at(b + subs), d(load(b + super)) {}
    template <int S> v128 scale() const { return mul_f32(d, to_f32(load8x4_s(at + S * 4))); }
    template <int S> v128 min() const { return mul_f32(scale<S>(), splat_f32(-4)); }
    const uint8_t *at;
    v128 d;
  };
  static void pack(const uint8_t *const (&rows)[kRows], uint8_t *out) {
    interleave(out, rows, 32, 64);
    interleave(out + high, rows, 0, 32);
    for (uint32_t r = 0; r < kRows; r++) {
      const uint8_t *s = rows[r] + 96; // 12 bytes: low nibbles of 16 scales, then their high two bits
      for (uint32_t i = 0; i < 16; i++) {
        const uint32_t low = s[i % 8] >> (i / 8 * 4) & 15, two = s[8 + i % 4] >> (i / 4 * 2) & 3;
        out[subs + i * 4 + r] = static_cast<uint8_t>(static_cast<int>(low | two << 4) - 32);
      }
    }
    gather16_as_f32(out + super, rows, 108);
  }
};

/// Q2_K: sixteen sub-blocks of 16, 4-bit scales and minimums.
struct Q2_K {
  static constexpr uint32_t columns = 256, sub = 16, subs = 256, super = 320, bytes = 352, file_bytes = 84;
  static constexpr int planes = 1, max_q = 3;

  template <int S, int T> static void step(const uint8_t *b, v128 (&q)[1]) {
    constexpr int half = S / 8, quarter = S % 8 / 2, word = S % 2 * 4 + T;
    q[0] = field<quarter * 2, 2>(load(b + (half * 8 + word) * 16));
  }
  struct Scales {
    explicit Scales(const uint8_t *b)
        : at(b + subs), d(load(b + super)), m(mul_f32(load(b + super + 16), splat_f32(-1))) {}
    template <int S> v128 scale() const { return mul_f32(d, to_f32(and_(load8x4_u(at + S * 4), splat_i32(15)))); }
    template <int S> v128 min() const { return mul_f32(m, to_f32(shr32(load8x4_u(at + S * 4), 4))); }
    const uint8_t *at;
    v128 d, m;
  };
  static void pack(const uint8_t *const (&rows)[kRows], uint8_t *out) {
    interleave(out, rows, 16, 64);
    for (uint32_t r = 0; r < kRows; r++)
      for (uint32_t i = 0; i < 16; i++)
        out[subs + i * 4 + r] = rows[r][i];
    gather16_as_f32(out + super, rows, 80);
    gather16_as_f32(out + super + 16, rows, 82);
  }
};

// ---- panels: a few rows unpacked to bytes, to be used for many tokens -------------

/// 32 columns of any format above after unpacking: for each sub-block its
/// quants, scales and minimums.
template <uint32_t Sub, int Planes, int MaxQ> struct Panel {
  static constexpr uint32_t columns = 32, sub = Sub;
  static constexpr int planes = Planes, max_q = MaxQ;
  static constexpr uint32_t scales = Sub * kRows * Planes, sub_bytes = scales + 32, bytes = columns / Sub * sub_bytes;

  template <int S, int T> static void step(const uint8_t *b, v128 (&q)[Planes]) {
    for (int p = 0; p < Planes; p++)
      q[p] = load(b + S * sub_bytes + (T * Planes + p) * 16);
  }
  struct Scales {
    explicit Scales(const uint8_t *b) : at(b + scales) {}
    template <int S> v128 scale() const { return load(at + S * sub_bytes); }
    template <int S> v128 min() const { return load(at + S * sub_bytes + 16); }
    const uint8_t *at;
  };
};
/// Formats with sub-blocks of 16 share one panel, so that there are four in all.
template <class W> using PanelOf = Panel<W::sub, W::planes, W::sub == 16 ? 63 : W::max_q>;

} // namespace formats
} // namespace slm
