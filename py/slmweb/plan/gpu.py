"""What a model takes of a GPU and does there: memory, limits, compiling, speed.

Owns the sizes of weights and of a session on the device as the core lays them out
(wasm/src/gpu/formats.cpp, weights.cpp, compute.cpp; tests hold them to what the core itself says),
and the roofline. Memory on a device whose GPU has none of its own is counted by memory.py's rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..generated import abi
from ..quantize.choice import INDEXED
from .memory import (
    cache_bytes,
    element_bytes,
    layer_slots,
    most_seen,
    moved_state_bytes,
    state_bytes,
)
from .shape import Shape
from .tensors import Tensor

N_BATCH = abi.N_BATCH["gpu"]  # of a session in the page

# What of the rated figures the kernels are designed to reach. Nobody has measured them on all of
# these devices; the best public engines reach 35 to 50% of the bandwidth, most 20 to 40%.
DECODE_SHARE = 0.5
PREFILL_SHARE = 0.3
# Of a layer, at most; a token costs each of them once, however few weights it reads.
DISPATCHES_PER_LAYER = 10
DISPATCHES_PER_GATE = 3  # more, where a layer has embeddings of its own
DISPATCHES_PER_STREAMS = 17  # more, where it has several residuals
# The parameters of the dispatches, stand-ins for unused buffers, what is read back.
WORKING_BYTES = 4 << 20
LEAST_BINDING_MIB = 128  # what every device of WebGPU binds

# Bytes of a block of 32 columns, over all regions; of K-quants an eighth of a super-block's.
BLOCK_BYTES = {
    "F32": 128, "F16": 64, "BF16": 64,
    "Q4_0": 18, "Q4_1": 20, "Q5_0": 22, "Q5_1": 24, "Q8_0": 34, "IQ4_NL": 18,
    "Q2_K": 10.5, "Q3_K": 14.25, "Q4_K": 18.5, "Q5_K": 22.5, "Q6_K": 26.25,
    "MXFP4": 18, "Q1_0": 4.5, **dict.fromkeys(INDEXED, 18.5),
}  # fmt: skip
_ROWS = 4  # a part of a matrix is a multiple of so many rows
_SEGMENT = 128  # positions that one workgroup of a single token's attention goes through
_SLICE = 4096  # logits that one workgroup finds the best of,
_CANDIDATES = 128  # so many of them
_ADJUSTMENTS = 1024  # logits that penalties and biases may change
_ROPES = 2  # tables of angles that a session has room for


@dataclass(frozen=True)
class Gpu:
    """See devices.toml for the units. `memory_gib` None: it shares the device's memory."""

    title: str
    gb_per_s: float
    tflops: float
    us_per_dispatch: float
    ms_per_pipeline: float
    memory_gib: float | None = None
    binding_mib: float = LEAST_BINDING_MIB
    decode_share: float = DECODE_SHARE
    prefill_share: float = PREFILL_SHARE

    @property
    def binding_bytes(self) -> int:
        return int(self.binding_mib * (1 << 20))


def weights_bytes(shape: Shape) -> int:
    """Bytes of the weights in the shaders' layout: whole groups of four rows in blocks of 32
    columns, each vector padded to 32 floats; what is looked up by rows is in linear memory. Those
    of the encoder too."""
    total = float(shape.table_bytes)
    for tensor in (*shape.tensors, *(shape.encoder.tensors if shape.encoder else ())):
        blocks = -(-tensor.columns // 32)
        if tensor.is_table:
            continue
        if tensor.is_matrix:
            total += -(-tensor.rows // _ROWS) * _ROWS * blocks * BLOCK_BYTES[tensor.type]
        else:
            total += 32 * 4 * -(-tensor.elements // 32)
    return int(total)


@dataclass(frozen=True)
class Session:
    """Bytes of a session's buffers, and the largest of them with what it holds."""

    total: int
    largest: int
    holds: str


def session(shape: Shape, n_ctx: int, n_batch: int = N_BATCH) -> Session:
    """What a session takes on the device, without the logits, whose buffer comes with the first."""
    n_q, n_kv = shape.n_head * shape.head_dim, shape.n_head_kv * shape.head_dim
    n_batch = shape.n_batch(n_ctx, n_batch)
    widths = [shape.n_embd, *shape.branches, n_q, n_q, n_kv, n_kv, shape.n_ff]
    widths += [*shape.recurrent_rows, *shape.per_layer_rows]
    row = n_batch * 4
    widest = row * _stride(max(shape.n_embd, shape.n_ff, n_q, *shape.recurrent_rows))
    segments = most_seen(shape, n_ctx) // _SEGMENT + 2
    partials = 4 * shape.n_head * segments * (shape.head_dim + 2)
    keys = element_bytes(shape) * max(
        width * layer_slots(window, shape.positions(n_ctx), n_batch)
        for window, width in zip(shape.windows, shape.kv_widths, strict=True)
    )
    total = (
        cache_bytes(shape, n_ctx, n_batch)
        + state_bytes(shape)
        + sum(row * _stride(width) for width in widths)
        + sum(4 * _stride(width) for width in shape.pooled)
        + 2 * widest
        + row
        + _ROPES * row * shape.rope_dims
        + partials
        + _drawing(shape)
    )
    rows = max(widest, row * max(map(_stride, shape.per_layer_rows), default=0))
    held = [(keys, "the keys of a layer"), (rows, "activations"), (_logits(shape), "logits")]
    return Session(total, *max(held))


def _drawing(shape: Shape) -> int:
    """What tokens are drawn with: adjustments of logits, and the best of each slice of them."""
    slices = -(-shape.n_vocab // _SLICE) + 1
    return 16 * _ADJUSTMENTS + 8 * (_CANDIDATES + 1) * slices


def _logits(shape: Shape) -> int:
    return 4 * _stride(shape.n_out)


def _stride(width: int) -> int:
    return -(-width // 32) * 32


@dataclass(frozen=True)
class GpuFit:
    """Whether a model can be opened on a GPU: with the wanted context, a shorter one, or not."""

    verdict: Literal["fits", "shorter", "refused"]
    n_ctx: int
    needed: int
    limit: Literal["memory", "binding"] | None
    available: int | None


def gpu_fit(shape: Shape, lengths: Sequence[int], n_ctx: int, gpu: Gpu, memory: int) -> GpuFit:
    """The longest context up to `n_ctx` with which the model can be opened in `memory` bytes.

    Weights larger than a binding are cut by rows, so only a session can be too large for one.
    """
    beside = weights_bytes(shape) + _logits(shape) + WORKING_BYTES
    if gpu.memory_gib is not None:
        beside -= shape.table_bytes
    beside += shape.encoder.encode_bytes() if shape.encoder else 0  # about as on the CPU
    wanted: GpuFit | None = None
    found: GpuFit | None = None
    for length in [n_ctx, *sorted((n for n in lengths if n < n_ctx), reverse=True)]:
        buffers = session(shape, length)
        needed = beside + buffers.total
        if needed > memory:
            found = GpuFit("refused", length, needed, "memory", memory)
        elif buffers.largest > gpu.binding_bytes:
            found = GpuFit("refused", length, buffers.largest, "binding", gpu.binding_bytes)
        elif wanted is None:
            return GpuFit("fits", length, needed, None, None)
        else:
            return GpuFit("shorter", length, needed, wanted.limit, wanted.available)
        wanted = wanted or found
    assert found is not None
    return found


def pipelines(shape: Shape) -> int:
    """About how many programs a model needs: each operation in the forms that it is used in, those
    that read weights once for each tensor type. A test holds it to a real device within a third."""
    kinds = {tensor.type for tensor in shape.layer_matrices}
    # Embedding and the head; rope, normalization, a gated unit and attention; the products.
    return 2 + 2 + 7 + len(shape.branches) + 9 * len(kinds)


@dataclass(frozen=True)
class GpuRates:
    prefill_tokens_per_second: float
    decode_tokens_per_second: float
    compile_seconds: float  # a rough estimate, of the first start; browsers keep what they compiled
    picture_seconds: float | None  # to encode one; None where the model sees none


def predict(shape: Shape, gpu: Gpu, n_prompt: int = 256, n_past: int = 256) -> GpuRates:
    """Rates for a prompt of `n_prompt` tokens, and for one token after `n_past` others."""
    bandwidth = gpu.decode_share * gpu.gb_per_s * 1e9
    arithmetic = gpu.prefill_share * gpu.tflops * 1e12
    dispatches = DISPATCHES_PER_LAYER + (DISPATCHES_PER_GATE if shape.n_per_layer else 0)
    dispatches += DISPATCHES_PER_STREAMS if shape.laurel_rank else 0
    host = shape.n_layer * dispatches * gpu.us_per_dispatch * 1e-6
    layers, head = shape.layer_matrices, shape.head
    moved = moved_state_bytes(shape)
    cache = cache_bytes(shape, n_past, 0) + moved
    decode = (_bytes([*layers, head]) + cache) / bandwidth + host
    # Each batch of a prompt reads the weights once; the head is for the last token only.
    batches = -(-n_prompt // shape.n_batch(n_prompt, N_BATCH))
    read = shape.prompt_matrices
    prefill = (
        n_prompt * 2 * sum(t.elements for t in read) / arithmetic
        + (batches * (_bytes(read) + moved) + _bytes([head])) / bandwidth
        + batches * host
    )
    picture = None
    if (encoder := shape.encoder) is not None:
        products = encoder.n_patches * sum(t.elements for t in encoder.layer_matrices)
        picture = 2 * (products + encoder.attention_products) / arithmetic
    compiling = pipelines(shape) * gpu.ms_per_pipeline / 1000
    return GpuRates(n_prompt / prefill, 1 / decode, compiling, picture)


def _bytes(tensors: Sequence[Tensor]) -> float:
    return sum(t.elements / 32 * BLOCK_BYTES[t.type] for t in tensors)
