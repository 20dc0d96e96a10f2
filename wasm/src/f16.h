// f16.h: IEEE half precision and its relatives to and from float, one value at a time.
#pragma once

#include <cstdint>
#include <cstring>

namespace slm {

inline float f16_to_f32(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16;
  uint32_t bits = static_cast<uint32_t>(h & 0x7fff) << 13;
  float f;
  if ((h & 0x7c00) == 0x7c00) {
    bits |= 0x7f800000; // infinity or NaN
  } else {
    std::memcpy(&f, &bits, 4);
    f *= 0x1p112f; // moves the exponent's bias, subnormals included
    std::memcpy(&bits, &f, 4);
  }
  bits |= sign;
  std::memcpy(&f, &bits, 4);
  return f;
}

/// Rounds to nearest, ties to even; overflow gives infinity.
inline uint16_t f32_to_f16(float f) {
  uint32_t bits;
  std::memcpy(&bits, &f, 4);
  const uint16_t sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  bits &= 0x7fffffff;
  if (bits >= 0x47800000) return static_cast<uint16_t>(sign | (bits > 0x7f800000 ? 0x7e00 : 0x7c00));
  if (bits < 0x38800000) { // subnormal: let float addition do the rounding
    float magnitude;
    std::memcpy(&magnitude, &bits, 4);
    magnitude += 0.5f;
    std::memcpy(&bits, &magnitude, 4);
    return static_cast<uint16_t>(sign | (bits - 0x3f000000));
  }
  const uint32_t rounded = bits - 0x38000000 + 0xfff + (bits >> 13 & 1);
  return static_cast<uint16_t>(sign | rounded >> 13);
}

inline float bf16_to_f32(uint16_t h) {
  const uint32_t bits = static_cast<uint32_t>(h) << 16;
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}

/// Half of the power of two that a byte of OCP's microscaling formats (E8M0) stands for, as bf16, exactly.
inline uint16_t e8m0_half_to_bf16(uint8_t e) {
  return static_cast<uint16_t>(e < 2 ? 0x20 << e : (e - 1) << 7); // the least two are subnormal
}

} // namespace slm
