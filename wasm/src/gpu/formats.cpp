// formats.cpp: see formats.h. Files' blocks are ggml's (ggml-common.h).
#include "formats.h"

#include <cstring>

#include "../f16.h"
#include "../indexed.h"

namespace slm {
namespace {

using Regions = uint8_t *const (&)[4];

/// Four bits of 32 elements: byte j of word w has element 8w + j in its low half, 8w + 4 + j in its high half.
template <class Value> void put_nibbles(uint8_t *out, Value value) {
  for (uint32_t w = 0; w < 4; w++)
    for (uint32_t j = 0; j < 4; j++)
      out[w * 4 + j] = static_cast<uint8_t>((value(w * 8 + j) & 15) | (value(w * 8 + 4 + j) & 15) << 4);
}
/// Two bits of 32 elements: bits 2k of byte j of word w are element 16w + 4k + j.
template <class Value> void put_twos(uint8_t *out, Value value) {
  for (uint32_t w = 0; w < 2; w++)
    for (uint32_t j = 0; j < 4; j++) {
      uint32_t byte = 0;
      for (uint32_t k = 0; k < 4; k++)
        byte |= (value(w * 16 + k * 4 + j) & 3) << (k * 2);
      out[w * 4 + j] = static_cast<uint8_t>(byte);
    }
}
/// One bit of 32 elements.
template <class Value> void put_bits(uint8_t *out, Value value) {
  for (uint32_t i = 0; i < 4; i++) {
    uint32_t byte = 0;
    for (uint32_t j = 0; j < 8; j++)
      byte |= (value(i * 8 + j) & 1) << j;
    out[i] = static_cast<uint8_t>(byte);
  }
}

template <uint32_t Bytes> void pack_plain(const uint8_t *from, uint32_t i, Regions out) {
  std::memcpy(out[0] + i * kBlock * Bytes, from, kBlock * Bytes);
}

/// Q4_0 Q4_1 Q5_0 Q5_1 IQ4_NL: elements 0 to 15 are the low nibbles of 16 bytes, the others the high ones.
template <bool HasMin, bool Five> void pack_legacy(const uint8_t *from, uint32_t i, Regions out) {
  constexpr uint32_t scales = HasMin ? 4 : 2;
  const uint8_t *q = from + scales + (Five ? 4 : 0);
  put_nibbles(out[0] + i * 16, [&](uint32_t e) { return q[e % 16] >> (e / 16 * 4); });
  std::memcpy(out[1] + i * scales, from, scales);
  if (Five) std::memcpy(out[2] + i * 4, from + scales, 4); // a bit an element already
}

/// Indices in the same order; the scale becomes the bf16 that holds every power of two.
void pack_mxfp4(const uint8_t *from, uint32_t i, Regions out) {
  put_nibbles(out[0] + i * 16, [&](uint32_t e) { return from[1 + e % 16] >> (e / 16 * 4); });
  const uint16_t d = e8m0_half_to_bf16(from[0]);
  std::memcpy(out[1] + i * 2, &d, 2);
}

void pack_q1_0(const uint8_t *from, uint32_t i, Regions out) {
  std::memcpy(out[0] + i * 16, from + 2, 16); // a bit an element already
  std::memcpy(out[1] + i * 2, from, 2);
}

void pack_q8_0(const uint8_t *from, uint32_t i, Regions out) {
  std::memcpy(out[0] + i * 32, from + 2, 32);
  std::memcpy(out[1] + i * 2, from, 2);
}

/// Q4_K Q5_K: eight sub-blocks of 32 with 6-bit scales and minimums.
template <bool Five> void pack_k32(const uint8_t *from, uint32_t i, Regions out) {
  const uint8_t *s = from + 4, *high = from + 16, *q = high + (Five ? 32 : 0);
  for (uint32_t b = 0; b < 8; b++) {
    const uint32_t at = i * 8 + b;
    put_nibbles(out[0] + at * 16, [&](uint32_t e) { return q[b / 2 * 32 + e] >> (b % 2 * 4); });
    uint8_t *scale = out[1] + at * 2;
    scale[0] = static_cast<uint8_t>(b < 4 ? s[b] & 63 : (s[b + 4] & 15) | (s[b - 4] >> 6) << 4);
    scale[1] = static_cast<uint8_t>(b < 4 ? s[b + 4] & 63 : s[b + 4] >> 4 | (s[b] >> 6) << 4);
    if (Five) put_bits(out[3] + at * 4, [&](uint32_t e) { return high[e] >> b; });
  }
  std::memcpy(out[2] + i * 4, from, 4);
}

void pack_q6_k(const uint8_t *from, uint32_t i, Regions out) {
  for (uint32_t b = 0; b < 8; b++) {
    const uint32_t at = i * 8 + b, part = b / 4, quarter = b % 4;
    put_nibbles(out[0] + at * 16,
                [&](uint32_t e) { return from[part * 64 + quarter % 2 * 32 + e] >> (quarter / 2 * 4); });
    put_twos(out[3] + at * 8, [&](uint32_t e) { return from[128 + part * 32 + e] >> (quarter * 2); });
  }
  std::memcpy(out[1] + i * 16, from + 192, 16); // two signed scales a block
  std::memcpy(out[2] + i * 2, from + 208, 2);
}

void pack_q3_k(const uint8_t *from, uint32_t i, Regions out) {
  const uint8_t *s = from + 96; // 12 bytes: the low nibbles of 16 scales, then their high two bits
  for (uint32_t b = 0; b < 8; b++) {
    const uint32_t at = i * 8 + b, part = b / 4, quarter = b % 4;
    put_twos(out[0] + at * 8, [&](uint32_t e) { return from[32 + part * 32 + e] >> (quarter * 2); });
    put_bits(out[3] + at * 4, [&](uint32_t e) { return from[e] >> b; });
  }
  for (uint32_t j = 0; j < 16; j++) {
    const int scale = (s[j % 8] >> (j / 8 * 4) & 15) | (s[8 + j % 4] >> (j / 4 * 2) & 3) << 4;
    out[1][i * 16 + j] = static_cast<uint8_t>(scale - 32);
  }
  std::memcpy(out[2] + i * 2, from + 108, 2);
}

void pack_q2_k(const uint8_t *from, uint32_t i, Regions out) {
  for (uint32_t b = 0; b < 8; b++)
    put_twos(out[0] + (i * 8 + b) * 8, [&](uint32_t e) { return from[16 + b / 4 * 32 + e] >> (b % 4 * 2); });
  std::memcpy(out[1] + i * 16, from, 16);
  std::memcpy(out[2] + i * 4, from + 80, 4);
}

/// Types whose values have indices; d is a whole float32, for it is an eighth or a quarter of the file's.
template <TensorType Type> void pack_indexed(const uint8_t *from, uint32_t i, Regions out) {
  IndexedBlock block;
  read_indexed(Type, from, block);
  for (uint32_t b = 0; b < 8; b++)
    put_nibbles(out[0] + (i * 8 + b) * 16, [&](uint32_t e) { return block.index[b * 32 + e]; });
  std::memcpy(out[1] + i * 16, block.scale, 16);
  std::memcpy(out[2] + i * 4, &block.d, 4);
}
template <TensorType Type> constexpr MatmulKernel indexed() {
  return {Type, 256, {{32, 16}, {32, 2}, {256, 4}}, pack_indexed<Type>};
}

constexpr MatmulKernel kKernels[] = {
    {TensorType::F32, 32, {{32, 128}}, pack_plain<4>},
    {TensorType::F16, 32, {{32, 64}}, pack_plain<2>},
    {TensorType::BF16, 32, {{32, 64}}, pack_plain<2>},
    {TensorType::Q4_0, 32, {{32, 16}, {32, 2}}, pack_legacy<false, false>},
    {TensorType::Q4_1, 32, {{32, 16}, {32, 4}}, pack_legacy<true, false>},
    {TensorType::Q5_0, 32, {{32, 16}, {32, 2}, {32, 4}}, pack_legacy<false, true>},
    {TensorType::Q5_1, 32, {{32, 16}, {32, 4}, {32, 4}}, pack_legacy<true, true>},
    {TensorType::Q8_0, 32, {{32, 32}, {32, 2}}, pack_q8_0},
    {TensorType::Q2_K, 256, {{32, 8}, {32, 2}, {256, 4}}, pack_q2_k},
    {TensorType::Q3_K, 256, {{32, 8}, {32, 2}, {256, 2}, {32, 4}}, pack_q3_k},
    {TensorType::Q4_K, 256, {{32, 16}, {32, 2}, {256, 4}}, pack_k32<false>},
    {TensorType::Q5_K, 256, {{32, 16}, {32, 2}, {256, 4}, {32, 4}}, pack_k32<true>},
    {TensorType::Q6_K, 256, {{32, 16}, {32, 2}, {256, 2}, {32, 8}}, pack_q6_k},
    {TensorType::IQ4_NL, 32, {{32, 16}, {32, 2}}, pack_legacy<false, false>},
    indexed<TensorType::IQ4_XS>(),
    indexed<TensorType::IQ3_S>(),
    indexed<TensorType::IQ3_XXS>(),
    indexed<TensorType::IQ2_S>(),
    indexed<TensorType::IQ2_XS>(),
    indexed<TensorType::IQ2_XXS>(),
    indexed<TensorType::IQ1_M>(),
    indexed<TensorType::IQ1_S>(),
    indexed<TensorType::TQ2_0>(),
    indexed<TensorType::TQ1_0>(),
    {TensorType::MXFP4, 32, {{32, 16}, {32, 2}}, pack_mxfp4},
    {TensorType::Q1_0, 128, {{32, 4}, {128, 2}}, pack_q1_0},
};

} // namespace

const MatmulKernel *matmul_kernel(TensorType type) {
  for (const MatmulKernel &kernel : kKernels)
    if (kernel.type == type) return &kernel;
  return nullptr;
}

} // namespace slm
