"""How much memory a model needs, and whether a device has it.

Owns the sizes of packed weights and of a session as the core lays them out
(wasm/src/cpu/compute.cpp, cpu/kernels/formats.h; tests hold both to what the core itself says), and
the rule by which a page opens a model, shortens its context or refuses. web/src/store/room.ts is
the same rule for the real device; tests/goldens/memory_rule.json holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..generated import abi
from ..pack.manifest import ContextMemory
from ..quantize.choice import INDEXED
from .shape import Shape
from .tensors import Tensor

N_BATCH = abi.N_BATCH["cpu"]  # of a session in the page

# Linear memory cannot grow beyond this, whatever the device has.
WASM_LIMIT = abi.MEMORY_MAXIMUM_PAGES * 65536
# Staging buffers, the tokenizer, the threads' stacks and the allocator's own.
WORKING_BYTES = 32 << 20
# What a tab may take of the memory that a browser reports, which is coarse. The rest is for the
# system, the browser and other pages: a phone ends the tab that takes too much.
DEVICE_SHARE = 0.4
# Browsers that report this much mean: so much or more.
MOST_REPORTED_GIB = 8
GIB = 1 << 30

# Columns and bytes of a packed block of four rows.
_PACKED = {
    "F32": (1, 16), "F16": (1, 8), "BF16": (1, 8),
    "Q4_0": (32, 72), "Q4_1": (32, 80), "Q5_0": (32, 88), "Q5_1": (32, 96), "Q8_0": (32, 136),
    "IQ4_NL": (32, 72),
    "Q2_K": (256, 352), "Q3_K": (256, 464), "Q4_K": (256, 608), "Q5_K": (256, 736),
    "Q6_K": (256, 848),
    "MXFP4": (32, 72), "Q1_0": (128, 72), **dict.fromkeys(INDEXED, (256, 624)),
}  # fmt: skip

_COPIES = 5  # of a state: Compute::kCopies
_KV_BLOCK = 32  # positions that attention handles at a time
_SEGMENT = 128  # positions whose part of attention one thread computes
_QUERIES = 16  # that share a pass over the keys
_CACHED_RESULTS = 8192  # numbers that a thread computes before it hands them over


def weights_bytes(shape: Shape) -> int:
    """Bytes of the weights in the kernels' layout: groups of four rows; vectors as float32. Those
    of the encoder too."""
    return packed_bytes(shape.tensors) + (
        packed_bytes(shape.encoder.tensors) if shape.encoder else 0
    )


def packed_bytes(tensors: Iterable[Tensor]) -> int:
    total = 0
    for tensor in tensors:
        if tensor.is_table:
            total += tensor.file_bytes
        elif tensor.is_matrix:
            columns, size = _PACKED[tensor.type]
            total += -(-tensor.rows // 4) * (tensor.columns // columns) * size
        else:
            total += 4 * tensor.elements
    return total


def session_bytes(shape: Shape, n_ctx: int, n_batch: int = N_BATCH, threads: int = 1) -> int:
    """Bytes of a session: keys and values of n_ctx positions, activations, scratch."""
    n_batch = shape.n_batch(n_ctx, n_batch)
    cache = cache_bytes(shape, n_ctx, n_batch) + state_bytes(shape) + 4 * sum(shape.pooled)
    n_q, n_kv = shape.n_head * shape.head_dim, shape.n_head_kv * shape.head_dim
    widths = shape.n_embd + sum(shape.branches) + 2 * (n_q + n_kv) + shape.n_ff
    widths += sum(shape.recurrent_rows) + sum(shape.per_layer_rows)
    normed = 4 * shape.n_embd
    columns = -(-max(shape.n_embd, shape.n_ff, n_q, *shape.recurrent_rows) // 32)  # in blocks of 32
    widest = max(columns, *(-(-width // 32) for width in shape.pooled), 0)
    quantized = 116 * columns  # as int8 and as int16, with their scales and sums
    rotations = 8 * shape.rope_dims
    # A window may begin and end inside a segment.
    positions = shape.positions(n_ctx)
    segments = min(-(-positions // _SEGMENT), most_seen(shape, n_ctx) // _SEGMENT + 2)
    partial = 4 * segments * shape.n_head * (shape.head_dim + 2)
    panels = 2 * 288 * widest
    scores = 4 * _QUERIES * (_KV_BLOCK + 2 * shape.head_dim)
    results = 4 * max(_CACHED_RESULTS, 16 * n_batch, _QUERIES * (shape.head_dim + 2))
    shared = n_batch * (4 * widths + normed + quantized + rotations) + partial
    return cache + shared + threads * (normed + 116 * widest + panels + scores + results)


def cache_bytes(shape: Shape, n_ctx: int, n_batch: int) -> int:
    """Bytes of all keys and values, on either backend."""
    per_number = 2 * element_bytes(shape)
    return sum(
        per_number * width * layer_slots(window, shape.positions(n_ctx), n_batch)
        for window, width in zip(shape.windows, shape.kv_widths, strict=True)
    )


def most_seen(shape: Shape, n_ctx: int) -> int:
    """Positions that one token sees at most, in the layer that sees most."""
    n = shape.positions(n_ctx)
    return max((min(window or n, n) for window in shape.windows), default=0)


def state_bytes(shape: Shape) -> int:
    """Bytes of what recurrent layers remember, with the copies that a chat goes back to."""
    return 4 * (1 + _COPIES) * sum(shape.states)


def moved_state_bytes(shape: Shape) -> int:
    """Bytes of a state that an evaluation reads and writes, however few its tokens."""
    return 2 * 4 * sum(shape.states)


def element_bytes(shape: Shape) -> int:
    """Of a number in the cache: half precision unless all weights are whole floats."""
    return 4 if all(t.type == "F32" for t in shape.tensors if t.is_matrix and not t.is_table) else 2


def layer_slots(window: int, n_ctx: int, n_batch: int) -> int:
    """Positions that a layer's cache has room for: all, or a ring over its window."""
    every = -(-n_ctx // _KV_BLOCK) * _KV_BLOCK
    if window == 0 or window >= n_ctx:
        return every
    return min(every, (-(-(window + 2 * n_batch) // _KV_BLOCK) + 1) * _KV_BLOCK)


def contexts(shape: Shape, threads: int = 1) -> list[ContextMemory]:
    """What a session takes at each length, as the manifest of the packed model has it."""
    lengths = context_lengths(shape.n_ctx_train)
    return [ContextMemory(n, session_bytes(shape, n, threads=threads)) for n in lengths]


def context_lengths(n_ctx_train: int) -> list[int]:
    """Powers of two from 512 up to the model's context length (131,072 at most), and that one."""
    longest = min(n_ctx_train, 131072)
    return [*(1 << i for i in range(9, 17) if 1 << i < longest), longest]


@dataclass(frozen=True)
class Fit:
    """Whether a model can be opened. `needed` and `available` belong to the limit that decided:
    "wasm" can be changed by nobody, "device" is an estimate that a person may overrule."""

    verdict: Literal["fits", "shorter", "refused"]
    n_ctx: int
    needed: int
    limit: Literal["wasm", "device"] | None
    available: int | None
    needs_gpu: bool = False  # more than linear memory can have: the GPU opens it, the CPU cannot


def fit(
    weights: int,
    contexts: Sequence[ContextMemory],
    n_ctx: int,
    *,
    blob: int = 0,
    wasm_limit: int = WASM_LIMIT,
    device_memory: float | None = None,
    gpu: bool = False,
    force: bool = False,
) -> Fit:
    """The longest context up to `n_ctx` with which a model can be opened.

    `blob` is what the download takes beside, when nothing is stored; `device_memory` in GiB, as
    navigator.deviceMemory reports it. With a `gpu`, whose buffers are no linear memory, the limit
    of WebAssembly refuses nothing, nor does an estimate that only says "8 GiB or more"; the GPU's
    own limits are tried when the model is opened. `force` leaves the estimate out.
    """
    available = None
    if device_memory is not None and not force and not (gpu and device_memory >= MOST_REPORTED_GIB):
        available = int(DEVICE_SHARE * device_memory * GIB)
    shorter = sorted((c.n_ctx for c in contexts if c.n_ctx < n_ctx), reverse=True)
    wanted: Fit | None = None
    for length in [n_ctx, *shorter]:
        linear = weights + bytes_at(contexts, length) + WORKING_BYTES
        if linear > wasm_limit and not gpu:
            found = Fit("refused", length, linear, "wasm", wasm_limit)
        elif available is not None and linear + blob > available:
            found = Fit("refused", length, linear + blob, "device", available)
        elif wanted is None:
            return Fit("fits", length, linear + blob, None, None, linear > wasm_limit)
        else:
            limits = (wanted.limit, wanted.available)
            return Fit("shorter", length, linear + blob, *limits, linear > wasm_limit)
        wanted = wanted or found
    return found


def bytes_at(contexts: Sequence[ContextMemory], n_ctx: int) -> int:
    """Bytes of a session of `n_ctx`: those of the next longer listed one, or by the last one's
    share beyond the list."""
    if not contexts:
        return 0
    listed = sorted(contexts, key=lambda c: c.n_ctx)
    for context in listed:
        if context.n_ctx >= n_ctx:
            return context.bytes
    last = listed[-1]
    return -(-last.bytes * n_ctx // last.n_ctx)
