// host.h: what the variant `webgpu` imports from its host, web/src/gpu. All numbers are unsigned;
// pointers are offsets into linear memory; a buffer is known by its handle, from 1 on. Nothing
// here waits and nothing fails at once: the host collects errors, of the device and of memory,
// and its settle() tells them. build/generate.py reads this file.
#pragma once

#include <cstdint>

#define GPU_IMPORT(name) extern "C" __attribute__((import_module("gpu"), import_name(#name)))

/// Bytes of the largest buffer that a shader may bind, at most 2^31.
GPU_IMPORT(limit) uint32_t gpu_limit();

/// A zeroed buffer of `bytes`, a multiple of 4.
GPU_IMPORT(create) uint32_t gpu_create(uint32_t bytes);

/// What is still to be read of it is not delivered any more.
GPU_IMPORT(destroy) void gpu_destroy(uint32_t handle);

/// Writes `n` bytes at `offset`, both multiples of 4; `data` is free again on return.
GPU_IMPORT(upload) void gpu_upload(uint32_t handle, uint32_t offset, const void *data, uint32_t n);

/// One dispatch behind those encoded before; `record` is a struct of generated/operations.h.
GPU_IMPORT(encode) void gpu_encode(const void *record);

/// Reads `n` bytes at `offset`, as what was encoded so far leaves them; they are there when the host has settled.
GPU_IMPORT(read) void gpu_read(uint32_t handle, uint32_t offset, uint32_t n, void *data);

/// Hands what was encoded to the device.
GPU_IMPORT(submit) void gpu_submit();
