// indexed.cpp: see indexed.h. Block layouts are ggml's (ggml-common.h).
#include "indexed.h"

#include <bit>
#include <cstring>

#include "f16.h"
#include "generated/grids.h"

namespace slm {
namespace {

// The upper eight are the lower ones with the other sign, where a type has signs apart.
constexpr uint8_t kMinus = 8;
constexpr int8_t kEight[16] = {4, 12, 20, 28, 36, 44, 52, 62, -4, -12, -20, -28, -36, -44, -52, -62};
constexpr int8_t kOdd[16] = {1, 3, 5, 7, 9, 11, 13, 15, -1, -3, -5, -7, -9, -11, -13, -15};
// Three magnitudes of IQ2; -1, 0 and 1 of IQ1, an eighth more or (from kMinus on) less; 0 and 2.
constexpr int8_t kFew[16] = {8, 25, 43, -7, 1, 9, 0, 2, -8, -25, -43, -9, -1, 7, 0, 0};
constexpr uint8_t kThreeOfIq1 = 3, kTernary[4] = {12, 6, 4, 7};

template <class T> T read(const uint8_t *p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}
float half(const uint8_t *p) { return f16_to_f32(read<uint16_t>(p)); }
int8_t odd(uint32_t scale) { return static_cast<int8_t>(2 * scale + 1); }

/// Seven signs; the eighth makes their number even.
uint32_t eight_signs(uint32_t seven) { return seven | (std::popcount(seven) & 1u) << 7; }

/// `N` elements of a code book's entry, `Bits` each, and their signs.
template <uint32_t N, uint32_t Bits> void put(uint32_t entry, uint32_t signs, uint8_t *out) {
  for (uint32_t i = 0; i < N; i++)
    out[i] = static_cast<uint8_t>((entry >> (i * Bits) & ((1u << Bits) - 1)) | (signs >> i & 1) * kMinus);
}
void put8(uint32_t entry, uint32_t signs, uint8_t *out) { put<8, 2>(entry, signs, out); }
void put4(uint32_t entry, uint32_t signs, uint8_t *out) { put<4, 3>(entry, signs, out); }
/// IQ1: no signs, but a shift of all eight.
void put_shifted(uint32_t entry, bool down, uint8_t *out) {
  for (uint32_t i = 0; i < 8; i++)
    out[i] = static_cast<uint8_t>(kThreeOfIq1 + (entry >> (i * 2) & 3) + (down ? kMinus : 0));
}

void iq4_xs(const uint8_t *b, IndexedBlock &out) {
  out.d = half(b);
  const uint32_t high = read<uint16_t>(b + 2);
  for (uint32_t s = 0; s < 8; s++) {
    const uint32_t scale = (b[4 + s / 2] >> (s % 2 * 4) & 15) | (high >> (s * 2) & 3) << 4;
    out.scale[s * 2] = out.scale[s * 2 + 1] = static_cast<int8_t>(static_cast<int>(scale) - 32);
    for (uint32_t i = 0; i < 32; i++)
      out.index[s * 32 + i] = b[8 + s * 16 + i % 16] >> (i / 16 * 4) & 15;
  }
}

void iq3_xxs(const uint8_t *b, IndexedBlock &out) {
  out.d = half(b) / 4;
  for (uint32_t s = 0; s < 8; s++) {
    const uint32_t word = read<uint32_t>(b + 66 + s * 4);
    out.scale[s * 2] = out.scale[s * 2 + 1] = odd(word >> 28);
    for (uint32_t i = 0; i < 8; i++)
      put4(kGrid3Xxs[b[2 + s * 8 + i]], eight_signs(word >> (i / 2 * 7) & 127) >> (i % 2 * 4),
           out.index + s * 32 + i * 4);
  }
}

void iq3_s(const uint8_t *b, IndexedBlock &out) {
  out.d = half(b);
  const uint8_t *q = b + 2, *high = b + 66, *signs = b + 74, *scales = b + 106;
  for (uint32_t i = 0; i < 64; i++)
    put4(kGrid3S[q[i] | (high[i / 8] >> i % 8 & 1u) << 8], signs[i / 2] >> (i % 2 * 4), out.index + i * 4);
  for (uint32_t s = 0; s < 16; s++)
    out.scale[s] = odd(scales[s / 4] >> (s / 2 % 2 * 4) & 15);
}

void iq2_xxs(const uint8_t *b, IndexedBlock &out) {
  out.d = half(b) / 8;
  for (uint32_t s = 0; s < 8; s++) {
    const uint8_t *q = b + 2 + s * 8;
    const uint32_t word = read<uint32_t>(q + 4);
    out.scale[s * 2] = out.scale[s * 2 + 1] = odd(word >> 28);
    for (uint32_t i = 0; i < 4; i++)
      put8(kGrid2Xxs[q[i]], eight_signs(word >> (i * 7) & 127), out.index + s * 32 + i * 8);
  }
}

void iq2_xs(const uint8_t *b, IndexedBlock &out) {
  out.d = half(b) / 8;
  for (uint32_t i = 0; i < 32; i++) {
    const uint32_t q = read<uint16_t>(b + 2 + i * 2);
    put8(kGrid2Xs[q & 511], eight_signs(q >> 9), out.index + i * 8);
  }
  for (uint32_t s = 0; s < 16; s++)
    out.scale[s] = odd(b[66 + s / 2] >> (s % 2 * 4) & 15);
}

void iq2_s(const uint8_t *b, IndexedBlock &out) {
  out.d = half(b) / 8;
  const uint8_t *q = b + 2, *signs = b + 34, *high = b + 66, *scales = b + 74;
  for (uint32_t i = 0; i < 32; i++)
    put8(kGrid2S[q[i] | (high[i / 4] >> (i % 4 * 2) & 3u) << 8], signs[i], out.index + i * 8);
  for (uint32_t s = 0; s < 16; s++)
    out.scale[s] = odd(scales[s / 2] >> (s % 2 * 4) & 15);
}

void iq1_s(const uint8_t *b, IndexedBlock &out) {
  out.d = half(b) / 8;
  for (uint32_t s = 0; s < 8; s++) {
    const uint32_t high = read<uint16_t>(b + 34 + s * 2);
    out.scale[s * 2] = out.scale[s * 2 + 1] = odd(high >> 12 & 7);
    for (uint32_t i = 0; i < 4; i++)
      put_shifted(kGrid1[b[2 + s * 4 + i] | (high >> (i * 3) & 7) << 8], high >> 15 != 0, out.index + s * 32 + i * 8);
  }
}

void iq1_m(const uint8_t *b, IndexedBlock &out) {
  const uint8_t *high = b + 32;
  uint32_t d = 0; // its four nibbles are the upper ones of the scales' words
  for (uint32_t w = 0; w < 4; w++) {
    const uint32_t scales = read<uint16_t>(b + 48 + w * 2);
    d |= (scales >> 12) << (w * 4);
    for (uint32_t s = 0; s < 4; s++)
      out.scale[w * 4 + s] = odd(scales >> (s * 3) & 7);
  }
  out.d = f16_to_f32(static_cast<uint16_t>(d)) / 8;
  for (uint32_t i = 0; i < 32; i++) {
    const uint32_t four = high[i / 2] >> (i % 2 * 4) & 15;
    put_shifted(kGrid1[b[i] | (four & 7) << 8], (four & 8) != 0, out.index + i * 8);
  }
}

/// TQ1_0 has five powers of three in a byte, TQ2_0 four pairs of bits.
void ternary(TensorType type, const uint8_t *b, IndexedBlock &out) {
  const bool packed = type == TensorType::TQ1_0;
  out.d = half(b + (packed ? 52 : 64));
  std::memset(out.scale, 1, sizeof out.scale);
  uint8_t *to = out.index;
  /// `n` bytes, each with a digit of the first `n` elements, then one of the next.
  const auto digits = [&](const uint8_t *from, uint32_t n, uint32_t each) {
    for (uint32_t digit = 0, power = 1; digit < each; digit++, power *= 3)
      for (uint32_t i = 0; i < n; i++) {
        const uint32_t q = packed ? (from[i] * power & 255) * 3 >> 8 : from[i] >> (digit * 2) & 3;
        *to++ = kTernary[q];
      }
  };
  if (packed) {
    digits(b, 32, 5);
    digits(b + 32, 16, 5);
    digits(b + 48, 4, 4);
  } else {
    digits(b, 32, 4);
    digits(b + 32, 32, 4);
  }
}

} // namespace

const int8_t *indexed_values(TensorType type) {
  switch (type) {
  case TensorType::IQ4_XS:
    return kNonlinear;
  case TensorType::IQ3_XXS:
    return kEight;
  case TensorType::IQ3_S:
    return kOdd;
  default:
    return kFew;
  }
}

void read_indexed(TensorType type, const uint8_t *block, IndexedBlock &out) {
  switch (type) {
  case TensorType::IQ4_XS:
    return iq4_xs(block, out);
  case TensorType::IQ3_XXS:
    return iq3_xxs(block, out);
  case TensorType::IQ3_S:
    return iq3_s(block, out);
  case TensorType::IQ2_XXS:
    return iq2_xxs(block, out);
  case TensorType::IQ2_XS:
    return iq2_xs(block, out);
  case TensorType::IQ2_S:
    return iq2_s(block, out);
  case TensorType::IQ1_S:
    return iq1_s(block, out);
  case TensorType::IQ1_M:
    return iq1_m(block, out);
  default:
    return ternary(type, block, out);
  }
}

} // namespace slm
