"""Values to blocks and back, for every tensor type that the core reads.

Float and legacy types (Q4_0 to Q8_0) are the gguf library's own numpy code, and
so is all decoding; K-quants, IQ4_NL and whatever is weighted by an importance
matrix come from ggml. Knows rows, and nothing of files or models.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..generated.abi import TensorType
from . import ggml
from .choice import TARGETS

F32 = npt.NDArray[np.float32]

FLOAT_TYPES = ("F32", "F16", "BF16")
NUMPY_TYPES = (*FLOAT_TYPES, "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")
# The types whose quantizer can weigh the columns.
WEIGHTED_TYPES = tuple(name for name in TARGETS if name not in (*FLOAT_TYPES, "Q8_0"))

# Block scales are float16, and so are the values of F16.
_F16_MAX = 65504.0


def needs_ggml(kind: TensorType, weighted: bool = False) -> bool:
    """Whether `encode` takes llama-cpp-python for this type."""
    return kind.name not in NUMPY_TYPES or (weighted and kind.name in WEIGHTED_TYPES)


def decode(data: bytes | bytearray | memoryview, kind: TensorType, columns: int) -> F32:
    """The values of whole rows: float32 [rows, columns]."""
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize

    blocks = np.frombuffer(data, np.uint8).reshape(
        -1, columns // kind.block_size * kind.block_bytes
    )
    if kind.name == "Q1_0":
        return _decode_q1_0(blocks).reshape(-1, columns)
    # Some scales of a damaged file are infinite; `encode` says so in a sentence.
    with np.errstate(all="ignore"):
        values: Any = dequantize(blocks, GGMLQuantizationType(kind.id))
    return np.asarray(values, np.float32).reshape(-1, columns)


def _decode_q1_0(blocks: npt.NDArray[np.uint8]) -> F32:
    """A half that is d, and a bit for each of 128: d or -d. gguf knows the block's size alone."""
    each = blocks.reshape(-1, 18)
    d = np.ascontiguousarray(each[:, :2]).view("<f2").astype(np.float32)
    positive = np.unpackbits(each[:, 2:], axis=1, bitorder="little").astype(bool)
    values: F32 = np.where(positive, d, -d)
    return values


def encode(values: F32, kind: TensorType, importance: F32 | None = None) -> bytes:
    """The blocks of `values`, float32 [rows, columns]; columns are whole blocks.

    `importance` [columns] weighs the squared error of each column, for the types
    that take it. Raises ValueError, with a half-sentence, for values that the
    type cannot hold, and SlmError "missing_extra" without llama-cpp-python.
    """
    from gguf import GGMLQuantizationType
    from gguf.quants import quantize

    assert values.shape[1] % kind.block_size == 0
    largest = float(np.abs(values).max(initial=0))
    if not np.isfinite(largest):
        raise ValueError("holds NaN or infinity")
    if largest > _F16_MAX and kind.name not in ("F32", "BF16"):
        raise ValueError(f"holds values up to {largest:.3g}, and {kind.name} ends at 65504")
    weights = importance if kind.name in WEIGHTED_TYPES else None
    if needs_ggml(kind, weights is not None):
        return ggml.quantize(values, kind, weights)
    # An all-zero block divides by its scale of zero and then does not use it.
    with np.errstate(divide="ignore", invalid="ignore"):
        return bytes(quantize(values, GGMLQuantizationType(kind.id)).tobytes())
