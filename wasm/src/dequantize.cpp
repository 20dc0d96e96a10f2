// dequantize.cpp: see dequantize.h. Block layouts are ggml's (ggml-common.h).
#include "dequantize.h"

#include <cstring>

#include "f16.h"
#include "indexed.h"

namespace slm {
namespace {

uint16_t read16(const uint8_t *p) { return static_cast<uint16_t>(p[0] | p[1] << 8); }
float half(const uint8_t *p) { return f16_to_f32(read16(p)); }

/// Q4_0 Q4_1 Q5_0 Q5_1: 32 values, the low nibbles first.
void nibbles(TensorType type, const uint8_t *block, float *out) {
  const bool has_min = type == TensorType::Q4_1 || type == TensorType::Q5_1;
  const bool five = type == TensorType::Q5_0 || type == TensorType::Q5_1;
  const float d = half(block), m = has_min ? half(block + 2) : 0;
  const uint8_t *high = block + (has_min ? 4 : 2), *q = high + (five ? 4 : 0);
  for (uint32_t i = 0; i < 32; i++) {
    int v = q[i % 16] >> (i / 16 * 4) & 15;
    if (five) v |= (high[i / 8] >> i % 8 & 1) << 4;
    if (!has_min) v -= five ? 16 : 8;
    out[i] = d * float(v) + m;
  }
}

/// IQ4_NL MXFP4: the same order, values by index.
void by_index(float d, const int8_t (&values)[16], const uint8_t *q, float *out) {
  for (uint32_t i = 0; i < 32; i++)
    out[i] = d * float(values[q[i % 16] >> (i / 16 * 4) & 15]);
}

void q1_0(const uint8_t *block, float *out) {
  const float d = half(block);
  for (uint32_t i = 0; i < 128; i++)
    out[i] = (block[2 + i / 8] >> i % 8 & 1) != 0 ? d : -d;
}

/// Q4_K Q5_K: eight sub-blocks of 32 with 6-bit scales and minimums.
void k32(bool five, const uint8_t *block, float *out) {
  const float d = half(block), dmin = half(block + 2);
  const uint8_t *s = block + 4, *high = block + 16, *q = high + (five ? 32 : 0);
  for (uint32_t i = 0; i < 256; i++) {
    const uint32_t sub = i / 32;
    const int scale = sub < 4 ? s[sub] & 63 : (s[sub + 4] & 15) | (s[sub - 4] >> 6) << 4;
    const int min = sub < 4 ? s[sub + 4] & 63 : s[sub + 4] >> 4 | (s[sub] >> 6) << 4;
    int v = q[sub / 2 * 32 + i % 32] >> (sub % 2 * 4) & 15;
    if (five) v |= (high[i % 32] >> sub & 1) << 4;
    out[i] = d * float(scale) * float(v) - dmin * float(min);
  }
}

void q6_k(const uint8_t *block, float *out) {
  const float d = half(block + 208);
  for (uint32_t i = 0; i < 256; i++) {
    const uint32_t part = i / 128, quarter = i % 128 / 32, e = i % 32;
    const int low = block[part * 64 + quarter % 2 * 32 + e] >> (quarter / 2 * 4) & 15;
    const int two = block[128 + part * 32 + e] >> (quarter * 2) & 3;
    const int scale = static_cast<int8_t>(block[192 + i / 16]);
    out[i] = d * float(scale) * float((low | two << 4) - 32);
  }
}

void q3_k(const uint8_t *block, float *out) {
  const float d = half(block + 108);
  const uint8_t *s = block + 96; // 12 bytes: the low nibbles of 16 scales, then their high two bits
  for (uint32_t i = 0; i < 256; i++) {
    const uint32_t part = i / 128, quarter = i % 128 / 32, e = i % 32, sub = i / 16;
    const int two = block[32 + part * 32 + e] >> (quarter * 2) & 3;
    const int high = block[e] >> (part * 4 + quarter) & 1;
    const int scale = ((s[sub % 8] >> (sub / 8 * 4) & 15) | (s[8 + sub % 4] >> (sub / 4 * 2) & 3) << 4) - 32;
    out[i] = d * float(scale) * float((two | high << 2) - 4);
  }
}

void q2_k(const uint8_t *block, float *out) {
  const float d = half(block + 80), dmin = half(block + 82);
  for (uint32_t i = 0; i < 256; i++) {
    const uint32_t part = i / 128, quarter = i % 128 / 32, e = i % 32;
    const int v = block[16 + part * 32 + e] >> (quarter * 2) & 3, s = block[i / 16];
    out[i] = d * float(s & 15) * float(v) - dmin * float(s >> 4);
  }
}

void indexed(TensorType type, const uint8_t *block, float *out) {
  IndexedBlock read;
  read_indexed(type, block, read);
  const int8_t *values = indexed_values(type);
  for (uint32_t i = 0; i < 256; i++)
    out[i] = read.d * float(read.scale[i / 16]) * float(values[read.index[i]]);
}

void block_values(TensorType type, const uint8_t *block, float *out) {
  switch (type) {
  case TensorType::F32:
    std::memcpy(out, block, 4);
    break;
  case TensorType::F16:
    *out = half(block);
    break;
  case TensorType::BF16:
    *out = bf16_to_f32(read16(block));
    break;
  case TensorType::Q8_0:
    for (uint32_t i = 0; i < 32; i++)
      out[i] = half(block) * float(static_cast<int8_t>(block[2 + i]));
    break;
  case TensorType::Q4_K:
  case TensorType::Q5_K:
    k32(type == TensorType::Q5_K, block, out);
    break;
  case TensorType::Q6_K:
    q6_k(block, out);
    break;
  case TensorType::Q3_K:
    q3_k(block, out);
    break;
  case TensorType::Q2_K:
    q2_k(block, out);
    break;
  case TensorType::Q4_0:
  case TensorType::Q4_1:
  case TensorType::Q5_0:
  case TensorType::Q5_1:
    nibbles(type, block, out);
    break;
  case TensorType::IQ4_NL:
    by_index(half(block), kNonlinear, block + 2, out);
    break;
  case TensorType::MXFP4:
    by_index(bf16_to_f32(e8m0_half_to_bf16(block[0])), kE2m1, block + 1, out);
    break;
  case TensorType::Q1_0:
    q1_0(block, out);
    break;
  default:
    indexed(type, block, out);
  }
}

} // namespace

void dequantize_row(TensorType type, const uint8_t *row, uint32_t columns, float *out) {
  const TensorTypeInfo &info = *tensor_type_info(static_cast<uint32_t>(type));
  for (uint32_t c = 0; c < columns; c += info.block_size, row += info.block_bytes)
    block_values(type, row, out + c);
}

} // namespace slm
