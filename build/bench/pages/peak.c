/* What the machine can do at most in this browser, one thread at a time: int8
 * multiply-accumulates that never leave the registers, and plain reading of
 * memory. The benchmark prints what an engine achieves beside these two. Built
 * by browser.py for wasm with relaxed SIMD; it imports nothing and knows of no
 * model. */
#include <stdint.h>
#include <wasm_simd128.h>

#define EXPORT __attribute__((visibility("default")))

/* Ten independent chains hide the latency of the dot product on the machines
 * that do it in one instruction, and still fit the 16 registers. */
enum { CHAINS = 10, MACS_PER_DOT = 16 };

extern uint8_t __heap_base;

/* Runs `n` rounds and returns the multiply-accumulates of one round. `seed`
 * comes from outside so that nothing can be folded. */
EXPORT int32_t peak_dots(uint32_t n, int32_t seed, int32_t *sink) {
  v128_t sums[CHAINS];
  v128_t weights = wasm_i8x16_splat((int8_t)seed), activations = wasm_i8x16_splat((int8_t)(seed >> 1));
#pragma clang loop unroll(full)
  for (int i = 0; i < CHAINS; i++)
    sums[i] = wasm_i32x4_splat(i);
  for (uint32_t round = 0; round < n; round++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < CHAINS; i++)
      sums[i] = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(weights, activations, sums[i]);
  }
  v128_t total = sums[0];
  for (int i = 1; i < CHAINS; i++)
    total = wasm_i32x4_add(total, sums[i]);
  *sink = wasm_i32x4_extract_lane(total, 0);
  return CHAINS * MACS_PER_DOT;
}

/* The start of memory that peak_read may be pointed at. */
EXPORT uint8_t *peak_buffer(void) { return (uint8_t *)(((uintptr_t)&__heap_base + 63) & ~(uintptr_t)63); }

/* Reads `n` bytes (a multiple of 128) once; the result keeps the loads alive. */
EXPORT int32_t peak_read(const uint8_t *bytes, uint32_t n) {
  v128_t sums[8];
  for (int i = 0; i < 8; i++)
    sums[i] = wasm_i32x4_splat(0);
  for (const uint8_t *end = bytes + n; bytes < end; bytes += 128) {
#pragma clang loop unroll(full)
    for (int i = 0; i < 8; i++)
      sums[i] = wasm_v128_xor(sums[i], wasm_v128_load(bytes + 16 * i));
  }
  v128_t total = sums[0];
  for (int i = 1; i < 8; i++)
    total = wasm_v128_xor(total, sums[i]);
  return wasm_i32x4_extract_lane(total, 0);
}
