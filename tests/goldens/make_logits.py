"""Goldens of the tiny models: transformers' logits in float32. Runs each model in
transformers, and the GGUF of the same model in llama.cpp, which must agree: what
the tests then feed to our core is a file as llama.cpp understands it. Run by
make.py.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from tests.goldens.llama_cpp_reference import LlamaCpp
from tests.goldens.llama_cpp_reference import version as llama_cpp_version
from tests.goldens.tiny_gguf import write_gguf
from tests.goldens.tiny_models import (
    F32,
    MIXED_MODELS,
    MODELS,
    TYPED_MODELS,
    TinyModel,
    digest,
    sequence,
)
from tests.goldens.transformers_models import transformers_logits

HERE = Path(__file__).parent
COMMAND = "make goldens (tests/goldens/make.py logits)"
N_TYPED_POSITIONS = 24


def distance(a: F32, b: F32) -> float:
    """The worst position's difference over the norm of its logits."""
    return float((np.linalg.norm(a - b, axis=1) / np.linalg.norm(b, axis=1)).max())


def check_in_llama_cpp(model: TinyModel, ids: list[int], expected: F32, bound: float) -> float:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{model.name}.gguf")
        write_gguf(model.name, path)
        with LlamaCpp(path) as llama:
            # An F32 cache, so that only conventions can differ.
            found = distance(llama.logits(ids, kv_type=0), expected)
    if not found < bound:
        raise RuntimeError(
            f"{model.name}: llama.cpp's logits differ from transformers' by {found:.1e} of "
            f"their norm, more than {bound:.0e}; a convention in tiny_gguf.py is wrong"
        )
    return found


def main() -> None:
    provenance: dict[str, Any] = {
        "command": COMMAND,
        "versions": f"transformers {transformers.__version__}, torch {torch.__version__}, "
        f"{llama_cpp_version()}, numpy {np.__version__}",
    }
    (HERE / "logits").mkdir(exist_ok=True)
    for model in MODELS.values():
        ids = sequence(model)
        logits = transformers_logits(model, ids)
        # ggml takes GELU from a half-precision table; SiLU it computes. Either
        # way the difference grows with depth.
        bound = (1e-3 if model.is_gemma else 1e-5) * math.sqrt(model.n_layer)
        found = check_in_llama_cpp(model, ids, logits, bound) if model.in_llama_cpp else math.nan
        np.savez_compressed(
            HERE / "logits" / f"{model.name}.npz",
            ids=np.array(ids, np.int32),
            logits=logits,
            weights_sha256=digest(model),
            llama_cpp_distance=found,
            **provenance,
        )
        print(f"{model.name}: llama.cpp differs by {found:.1e} of the norm")
    typed: dict[str, Any] = {}
    for name, model in (TYPED_MODELS | MIXED_MODELS).items():
        ids = sequence(model, N_TYPED_POSITIONS)
        logits = transformers_logits(model, ids)
        # llama.cpp rounds activations to 8 bits, so this is its own error.
        found = check_in_llama_cpp(model, ids, logits, 0.1)
        typed |= {
            f"{name}.ids": np.array(ids, np.int32),
            # Half precision is far below what 8-bit activations lose.
            f"{name}.logits": logits if name in ("F16", "BF16") else logits.astype(np.float16),
            f"{name}.weights_sha256": np.array(digest(model)),
            f"{name}.llama_cpp_distance": np.array(found),
        }
        print(f"{name}: llama.cpp differs by {found:.1e} of the norm")
    np.savez_compressed(HERE / "logits" / "tensor_types.npz", **typed, **provenance)
