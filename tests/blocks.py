"""ggml's blocks as tests fill them: any bits are quants, but scales of half precision stay numbers.

Owns which tensor types there are to test and where their halves lie. Knows little of what the bits
of a block mean: the package gguf decodes them, but for Q1_0, which it only knows the size of.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType
from gguf import quants as gguf_quants

F32 = npt.NDArray[np.float32]

TYPES = [
    "F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0",
    "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL",
    "IQ4_XS", "IQ3_S", "IQ3_XXS", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S", "TQ2_0", "TQ1_0",
    "MXFP4", "Q1_0",
]  # fmt: skip

SPREAD = -1
"""In place of an offset: the upper four bits of each of IQ1_M's four last words are the half's."""

EXPONENT = -2
"""In place of an offset: the first byte is the exponent of the scale, which is a power of two."""

# Byte offsets of the halves in a block.
HALVES: dict[str, list[int]] = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
    "IQ4_NL": [0], "IQ4_XS": [0], "IQ3_S": [0], "IQ3_XXS": [0], "IQ2_S": [0], "IQ2_XS": [0],
    "IQ2_XXS": [0], "IQ1_M": [SPREAD], "IQ1_S": [0], "TQ2_0": [64], "TQ1_0": [52],
    "MXFP4": [EXPONENT], "Q1_0": [0],
}  # fmt: skip


def dequantize(
    blocks: npt.NDArray[np.uint8], kind: GGMLQuantizationType
) -> npt.NDArray[np.float32]:
    """Float32 (..., columns) of (..., bytes of whole blocks)."""
    if kind is not GGMLQuantizationType.Q1_0:
        return gguf_quants.dequantize(blocks, kind).astype(np.float32)
    each = blocks.reshape(-1, 18)
    d = np.ascontiguousarray(each[:, :2]).view("<f2").astype(np.float32)
    bits = np.unpackbits(each[:, 2:], axis=1, bitorder="little").astype(np.float32)
    values: F32 = d * (2 * bits - 1)  # ggml: a bit says which of d and -d
    return values.reshape(*blocks.shape[:-1], -1)


def put_half(blocks: npt.NDArray[np.uint8], offset: int, values: npt.NDArray[np.float64]) -> None:
    """Writes a half into each of `blocks`, (..., bytes), in place; `values` is (...). Of an
    exponent the nearest power of two."""
    if offset == EXPONENT:
        least = np.maximum(np.abs(values), 2.0**-127)
        blocks[..., 0] = np.rint(np.log2(least)).astype(np.int64) + 128
        return
    halves = values.astype("<f2")
    if offset != SPREAD:
        blocks[..., offset : offset + 2] = halves[..., None].view(np.uint8)
        return
    for i in range(4):
        nibble = (halves.view("<u2") >> (4 * i) & 15).astype(np.uint8)
        at = blocks.shape[-1] - 7 + 2 * i
        blocks[..., at] = blocks[..., at] & 15 | nibble << 4
