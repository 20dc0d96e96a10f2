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
//   parts      alike pieces of the block, part_bytes apart, each with its share
//              of the columns; step and Scales see one (mostly there is one)
//   sub        consecutive elements that share a scale: 32 or 16
//   max_q      the largest value, if values are unsigned and fit the fast dot
//              product; 0 if they are signed bytes, which do not
//   step<S,T>  values of elements 4T..4T+3 of sub-block S: as bytes, or, when
//              signed, as int16, rows 0 and 1 in the first vector
//   Scales     scale<S>, min<S>: value = scale * q + min, a lane per row;
//              signed values have no min
//   pack       copies four GGUF blocks of the same columns into one
//
// Block layouts are ggml's (ggml-common.h); the bit positions are theirs.
#pragma once

#include <cstdint>
#include <cstring>

#include "../../f16.h"
#include "../../indexed.h"
#include "../../simd.h"
#include "matmul.h"

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
/// Interleaves `n` bytes of four rows, one byte at a time.
inline void interleave_bytes(uint8_t *out, const uint8_t *const (&rows)[kRows], size_t at, size_t n) {
  for (size_t i = 0; i < n; i++)
    for (uint32_t r = 0; r < kRows; r++)
      out[i * kRows + r] = rows[r][at + i];
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

/// Masks of bytes, and what f16 needs. A tile makes one before its loop; what a
/// format does not use is never made.
struct Constants {
  v128 x01 = constant(splat_u8(0x01)), x03 = constant(splat_u8(0x03)), x04 = constant(splat_u8(0x04)),
       x0f = constant(splat_u8(0x0f)), x10 = constant(splat_u8(0x10)), x30 = constant(splat_u8(0x30));
  F16Constants f16;

  template <int M> v128 mask() const {
    static_assert(M == 0x01 || M == 0x03 || M == 0x04 || M == 0x0f || M == 0x10 || M == 0x30);
    return M == 0x01 ? x01 : M == 0x03 ? x03 : M == 0x04 ? x04 : M == 0x0f ? x0f : M == 0x10 ? x10 : x30;
  }
};

/// Bits [At, At + Bits) of every byte, moved to [To, To + Bits).
template <int At, int Bits, int To = 0> inline v128 field(v128 v, const Constants &k) {
  const v128 mask = k.mask<((1 << Bits) - 1) << To>();
  if constexpr (At > To) return and_(shr16(v, At - To), mask);
  if constexpr (At < To) return and_(shl16(v, To - At), mask);
  return and_(v, mask);
}

/// One bit an element of four rows, eight elements a byte: bit t of byte j of a row's word is element 4t + j.
inline void interleave_bits(uint8_t *out, const uint8_t *const (&rows)[kRows], size_t at) {
  for (uint32_t r = 0; r < kRows; r++) {
    uint32_t x;
    std::memcpy(&x, rows[r] + at, 4);
    for (uint32_t j = 0; j < 4; j++) {
      uint32_t y = x >> j & 0x11111111;
      y = (y | y >> 3) & 0x03030303;
      y = (y | y >> 6) & 0x000f000f;
      out[r * 4 + j] = static_cast<uint8_t>(y | y >> 12);
    }
  }
}

// ---- blocks of 32 with one scale (and minimum): Q4_0 Q4_1 Q5_0 Q5_1 ----------

/// `Bits` 4 or 5; `HasMin`: a stored minimum, else values are centred on zero.
template <int Bits, bool HasMin> struct Legacy {
  static constexpr uint32_t columns = 32, sub = 32, parts = 1;
  static constexpr int max_q = (1 << Bits) - 1;
  static constexpr uint32_t high = 64, scales = high + (Bits == 5 ? 16 : 0), bytes = scales + 8 + (HasMin ? 8 : 0),
                            part_bytes = bytes;

  template <int, int T> static void step(const uint8_t *b, const Constants &k, v128 &q) {
    q = field<T / 4 * 4, 4>(load(b + T % 4 * 16), k);
    if constexpr (Bits == 5) q = or_(q, field<T, 1, 4>(load(b + high), k));
  }

  struct Scales {
    Scales(const uint8_t *b, const uint8_t *, const Constants &k) : d(load_f16x4(b + scales, k.f16)) {
      if constexpr (HasMin)
        m = load_f16x4(b + scales + 8, k.f16);
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
    if constexpr (Bits == 5) interleave_bits(out + high, rows, qh);
  }
};
using Q4_0 = Legacy<4, false>;
using Q4_1 = Legacy<4, true>;
using Q5_0 = Legacy<5, false>;
using Q5_1 = Legacy<5, true>;

// ---- 8-bit blocks of 32 --------------------------------------------------------

struct Q8_0 {
  static constexpr uint32_t columns = 32, sub = 32, parts = 1, scales = 128, bytes = scales + 8, part_bytes = bytes,
                            file_bytes = 34;
  static constexpr int max_q = 0;

  template <int, int T> static void step(const uint8_t *b, const Constants &, v128 (&q)[2]) {
    q[0] = load8x8_s(b + T * 16);
    q[1] = load8x8_s(b + T * 16 + 8);
  }
  struct Scales {
    Scales(const uint8_t *b, const uint8_t *, const Constants &k) : d(load_f16x4(b + scales, k.f16)) {}
    template <int> v128 scale() const { return d; }
    v128 d;
  };
  static void pack(const uint8_t *const (&rows)[kRows], uint8_t *out) {
    interleave(out, rows, 2, 32);
    gather16(out + scales, rows, 0);
  }
};

// ---- IQ4_NL, MXFP4: 4-bit indices into a table of 8-bit values --------------------

/// `Values` is the table.
template <const int8_t (&Values)[16]> struct ByIndex {
  static constexpr uint32_t columns = 32, sub = 32, parts = 1, scales = 64, bytes = scales + 8, part_bytes = bytes;
  static constexpr int max_q = 0;

  template <int, int T> static void step(const uint8_t *b, const Constants &k, v128 (&q)[2]) {
    const v128 values = lookup(load(Values), field<T / 4 * 4, 4>(load(b + T % 4 * 16), k));
    q[0] = extend_low_i8(values);
    q[1] = extend_high_i8(values);
  }
};

struct IQ4_NL : ByIndex<kNonlinear> {
  static constexpr uint32_t file_bytes = 18;
  struct Scales {
    Scales(const uint8_t *b, const uint8_t *, const Constants &k) : d(load_f16x4(b + scales, k.f16)) {}
    template <int> v128 scale() const { return d; }
    v128 d;
  };
  static void pack(const uint8_t *const (&rows)[kRows], uint8_t *out) {
    interleave(out, rows, 2, 16);
    gather16(out + scales, rows, 0);
  }
};

/// A power of two is the scale, of which only bf16 has all with 16 bits.
struct MXFP4 : ByIndex<kE2m1> {
  static constexpr uint32_t file_bytes = 17;
  struct Scales {
    Scales(const uint8_t *b, const uint8_t *, const Constants &) : d(load_bf16x4(b + scales)) {}
    template <int> v128 scale() const { return d; }
    v128 d;
  };
  static void pack(const uint8_t *const (&rows)[kRows], uint8_t *out) {
    interleave(out, rows, 1, 16);
    for (uint32_t r = 0; r < kRows; r++) {
      const uint16_t d = e8m0_half_to_bf16(rows[r][0]);
      std::memcpy(out + scales + r * 2, &d, 2);
    }
  }
};

// ---- Q1_0: signs alone ---------------------------------------------------------------

/// 128 elements with one scale: value = 2d * bit - d.
struct Q1_0 {
  static constexpr uint32_t columns = 128, sub = 32, parts = 1, scales = 64, bytes = scales + 8, part_bytes = bytes,
                            file_bytes = 18;
  static constexpr int max_q = 1;

  template <int S, int T> static void step(const uint8_t *b, const Constants &k, v128 &q) {
    q = field<T, 1>(load(b + S * 16), k);
  }
  struct Scales {
    Scales(const uint8_t *b, const uint8_t *, const Constants &k) : d(load_f16x4(b + scales, k.f16)) {}
    template <int> v128 scale() const { return add_f32(d, d); }
    template <int> v128 min() const { return mul_f32(d, splat_f32(-1)); }
    v128 d;
  };
  static void pack(const uint8_t *const (&rows)[kRows], uint8_t *out) {
    for (uint32_t s = 0; s < columns / sub; s++)
      interleave_bits(out + s * 16, rows, 2 + s * 4);
    gather16(out + scales, rows, 0);
  }
};

// ---- K-quants: 256 elements, scales of sub-blocks quantized too -------------------

/// Q4_K and Q5_K: eight sub-blocks of 32, 6-bit scales and minimums.
template <int Bits> struct K32 {
  static constexpr uint32_t columns = 256, sub = 32, parts = 1;
  static constexpr int max_q = (1 << Bits) - 1;
  static constexpr uint32_t high = 512, super = high + (Bits == 5 ? 128 : 0), subs = super + 32, bytes = subs + 64,
                            part_bytes = bytes;
  static constexpr uint32_t file_bytes = Bits == 5 ? 176 : 144;

  template <int S, int T> static void step(const uint8_t *b, const Constants &k, v128 &q) {
    q = field<S % 2 * 4, 4>(load(b + (S / 2 * 8 + T) * 16), k);
    if constexpr (Bits == 5) q = or_(q, field<S, 1, 4>(load(b + high + T * 16), k));
  }
  struct Scales {
    Scales(const uint8_t *b, const uint8_t *, const Constants &)
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

// Q6_K, Q3_K and Q2_K: sixteen sub-blocks of 16. A packed block is two alike
// parts of 128 columns, so that kernels unroll one and loop over both, then the
// super-scales of the whole.

/// Q6_K: signed 8-bit scales, values minus 32.
struct Q6_K {
  static constexpr uint32_t columns = 256, sub = 16, parts = 2, high = 256, subs = 384, part_bytes = 416,
                            super = parts * part_bytes, bytes = super + 16, file_bytes = 210;
  static constexpr int max_q = 63;

  template <int S, int T> static void step(const uint8_t *b, const Constants &k, v128 &q) {
    constexpr int quarter = S / 2, word = S % 2 * 4 + T; // 32 elements a quarter
    q = or_(field<quarter / 2 * 4, 4>(load(b + (quarter % 2 * 8 + word) * 16), k),
            field<quarter * 2, 2, 4>(load(b + high + word * 16), k));
  }
  struct Scales {
    Scales(const uint8_t *part, const uint8_t *block, const Constants &) : at(part + subs), d(load(block + super)) {}
    template <int S> v128 scale() const { return mul_f32(d, to_f32(load8x4_s(at + S * 4))); }
    template <int S> v128 min() const { return mul_f32(scale<S>(), splat_f32(-32)); }
    const uint8_t *at;
    v128 d;
  };
  static void pack(const uint8_t *const (&rows)[kRows], uint8_t *out) {
    for (uint32_t p = 0; p < parts; p++) {
      uint8_t *part = out + p * part_bytes;
      interleave(part, rows, p * 64, 64);
      interleave(part + high, rows, 128 + p * 32, 32);
      interleave_bytes(part + subs, rows, 192 + p * 8, 8);
    }
    gather16_as_f32(out + super, rows, 208);
  }
};

/// Q3_K: 6-bit scales minus 32, values minus 4.
struct Q3_K {
  static constexpr uint32_t columns = 256, sub = 16, parts = 2, high = 128, subs = 192, part_bytes = 224,
                            super = parts * part_bytes, bytes = super + 16, file_bytes = 110;
  static constexpr int max_q = 7;

  template <int S, int T> static void step(const uint8_t *b, const Constants &k, v128 &q) {
    constexpr int quarter = S / 2, word = S % 2 * 4 + T;
    q = or_(field<quarter * 2, 2>(load(b + word * 16), k),
            field<word % 2 * 4 + quarter, 1, 2>(load(b + high + word / 2 * 16), k));
  }
  struct Scales {
    Scales(const uint8_t *part, const uint8_t *block, const Constants &) : at(part + subs), d(load(block + super)) {}
    template <int S> v128 scale() const { return mul_f32(d, to_f32(load8x4_s(at + S * 4))); }
    template <int S> v128 min() const { return mul_f32(scale<S>(), splat_f32(-4)); }
    const uint8_t *at;
    v128 d;
  };
  static void pack(const uint8_t *const (&rows)[kRows], uint8_t *out) {
    for (uint32_t p = 0; p < parts; p++) {
      uint8_t *part = out + p * part_bytes;
      interleave(part, rows, 32 + p * 32, 32);
      for (uint32_t r = 0; r < kRows; r++) {
        // A byte of 32 has the high bits of both parts' four quarters: two words of a part share a vector.
        for (uint32_t i = 0; i < 32; i += 8)
          for (uint32_t j = 0; j < 4; j++) {
            const auto bits = [&](uint32_t byte) { return rows[r][byte] >> (p * 4) & 15; };
            part[high + i * 2 + r * 4 + j] = static_cast<uint8_t>(bits(i + j) | bits(i + j + 4) << 4);
          }
        const uint8_t *s = rows[r] + 96; // 12 bytes: low nibbles of 16 scales, then their high two bits
        for (uint32_t i = 0; i < 8; i++) {
          const uint32_t low = s[i] >> (p * 4) & 15, two = s[8 + i % 4] >> (p * 4 + i / 4 * 2) & 3;
          part[subs + i * 4 + r] = static_cast<uint8_t>(static_cast<int>(low | two << 4) - 32);
        }
      }
    }
    gather16_as_f32(out + super, rows, 108);
  }
};

/// Q2_K: 4-bit scales and minimums.
struct Q2_K {
  static constexpr uint32_t columns = 256, sub = 16, parts = 2, subs = 128, part_bytes = 160,
                            super = parts * part_bytes, bytes = super + 32, file_bytes = 84;
  static constexpr int max_q = 3;

  template <int S, int T> static void step(const uint8_t *b, const Constants &k, v128 &q) {
    constexpr int quarter = S / 2, word = S % 2 * 4 + T;
    q = field<quarter * 2, 2>(load(b + word * 16), k);
  }
  struct Scales {
    Scales(const uint8_t *part, const uint8_t *block, const Constants &)
        : at(part + subs), d(load(block + super)), m(mul_f32(load(block + super + 16), splat_f32(-1))) {}
    template <int S> v128 scale() const { return mul_f32(d, to_f32(and_(load8x4_u(at + S * 4), splat_i32(15)))); }
    template <int S> v128 min() const { return mul_f32(m, to_f32(shr32(load8x4_u(at + S * 4), 4))); }
    const uint8_t *at;
    v128 d, m;
  };
  static void pack(const uint8_t *const (&rows)[kRows], uint8_t *out) {
    for (uint32_t p = 0; p < parts; p++) {
      interleave(out + p * part_bytes, rows, 16 + p * 32, 32);
      interleave_bytes(out + p * part_bytes + subs, rows, p * 8, 8);
    }
    gather16_as_f32(out + super, rows, 80);
    gather16_as_f32(out + super + 16, rows, 82);
  }
};

// ---- the IQ types of 256 elements and the ternary ones ------------------------------

/// What all of them become: indices into a table of 8-bit values. The table lies in the block, so that one kernel
/// serves every type; 16 elements share a scale.
struct Indexed {
  static constexpr uint32_t columns = 256, sub = 16, parts = 2, table = 256, subs = table + 16, part_bytes = subs + 32,
                            super = parts * part_bytes, bytes = super + 16;
  static constexpr int max_q = 0;

  template <int S, int T> static void step(const uint8_t *b, const Constants &k, v128 (&q)[2]) {
    constexpr int word = S * 4 + T;
    const v128 values = lookup(load(b + table), field<word / 16 * 4, 4>(load(b + word % 16 * 16), k));
    q[0] = extend_low_i8(values);
    q[1] = extend_high_i8(values);
  }
  struct Scales {
    Scales(const uint8_t *part, const uint8_t *block, const Constants &) : at(part + subs), d(load(block + super)) {}
    template <int S> v128 scale() const { return mul_f32(d, to_f32(load8x4_s(at + S * 4))); }
    const uint8_t *at;
    v128 d;
  };

  static void pack_rows(TensorType type, const uint8_t *const (&rows)[kRows], uint8_t *out) {
    for (uint32_t r = 0; r < kRows; r++) {
      IndexedBlock block;
      read_indexed(type, rows[r], block);
      std::memcpy(out + super + r * 4, &block.d, 4);
      for (uint32_t p = 0; p < parts; p++) {
        uint8_t *part = out + p * part_bytes;
        std::memcpy(part + table, indexed_values(type), 16);
        for (uint32_t i = 0; i < 8; i++)
          part[subs + i * 4 + r] = static_cast<uint8_t>(block.scale[p * 8 + i]);
        const uint8_t *index = block.index + p * 128;
        for (uint32_t i = 0; i < 64; i++)
          part[i / 4 * 16 + r * 4 + i % 4] = static_cast<uint8_t>(index[i] | index[i + 64] << 4);
      }
    }
  }
};
template <TensorType Type, uint32_t FileBytes> struct IndexedFile : Indexed {
  static constexpr uint32_t file_bytes = FileBytes;
  static void pack(const uint8_t *const (&rows)[kRows], uint8_t *out) { pack_rows(Type, rows, out); }
};

// ---- panels: a few rows unpacked to bytes, to be used for many tokens -------------

/// 32 columns of a format with unsigned values after unpacking: for each
/// sub-block its quants, scales and minimums.
template <uint32_t Sub, int MaxQ> struct Panel {
  static constexpr uint32_t columns = 32, sub = Sub, parts = 1;
  static constexpr int max_q = MaxQ;
  static constexpr uint32_t scales = Sub * kRows, sub_bytes = scales + 32, bytes = columns / Sub * sub_bytes,
                            part_bytes = bytes;

  template <int S, int T> static void step(const uint8_t *b, const Constants &, v128 &q) {
    q = load(b + S * sub_bytes + T * 16);
  }
  struct Scales {
    Scales(const uint8_t *b, const uint8_t *, const Constants &) : at(b + scales) {}
    template <int S> v128 scale() const { return load(at + S * sub_bytes); }
    template <int S> v128 min() const { return load(at + S * sub_bytes + 16); }
    const uint8_t *at;
  };
};

/// The same for signed values, which are int16 here.
template <uint32_t Sub> struct SignedPanel {
  static constexpr uint32_t columns = 32, sub = Sub, parts = 1;
  static constexpr int max_q = 0;
  static constexpr uint32_t scales = Sub * kRows * 2, sub_bytes = scales + 16, bytes = columns / Sub * sub_bytes,
                            part_bytes = bytes;

  template <int S, int T> static void step(const uint8_t *b, const Constants &, v128 (&q)[2]) {
    q[0] = load(b + S * sub_bytes + T * 32);
    q[1] = load(b + S * sub_bytes + T * 32 + 16);
  }
  struct Scales {
    Scales(const uint8_t *b, const uint8_t *, const Constants &) : at(b + scales) {}
    template <int S> v128 scale() const { return load(at + S * sub_bytes); }
    const uint8_t *at;
  };
};

template <class W> inline constexpr bool is_signed = W::max_q == 0;

template <class W> struct PanelFor {
  // Formats with sub-blocks of 16 share one panel, and the least bits that of four, so that there are five in all.
  using Type = Panel<W::sub, W::sub == 16 ? 63 : W::max_q < 15 ? 15 : W::max_q>;
};
template <class W>
  requires is_signed<W>
struct PanelFor<W> {
  using Type = SignedPanel<W::sub>;
};
template <class W> using PanelOf = typename PanelFor<W>::Type;

} // namespace formats
} // namespace slm
