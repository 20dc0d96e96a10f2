"""The model that these tests quantize, and what is in a GGUF file by the gguf library."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize
from numpy.typing import NDArray

from tests.goldens.tiny_models import TYPED_MODELS

# Two layers, rows of 256 and 512.
WIDE = replace(TYPED_MODELS["Q8_0"], name="qwen2-wide", tensor_type=GGMLQuantizationType.F32)


def types(path: Path) -> dict[str, str]:
    return {t.name: t.tensor_type.name for t in GGUFReader(path).tensors}


def blocks(path: Path) -> dict[str, bytes]:
    return {t.name: t.data.tobytes() for t in GGUFReader(path).tensors}


def values(path: Path) -> dict[str, NDArray[np.float32]]:
    return {
        t.name: np.asarray(dequantize(t.data, t.tensor_type), np.float32)
        for t in GGUFReader(path).tensors
    }


def metadata(path: Path) -> dict[str, object]:
    """Every key and value; the library's own counts of the header are left out."""
    fields = GGUFReader(path).fields
    return {key: f.contents() for key, f in fields.items() if not key.startswith("GGUF.")}
