"""Goldens of the real models: llama.cpp's next-token distributions over 512 tokens
of text, twice. Once on the file as it is, where llama.cpp rounds activations to
8 bits and so has an error of its own; once on the same weights dequantized to
F32, where it has none. Also measures that error: how far llama.cpp is from
itself when only the order of its roundings changes. Run by make.py.
"""

from __future__ import annotations

import platform
import tempfile
from pathlib import Path

import numpy as np

from tests.goldens import distribution
from tests.goldens.distribution import F64, compare, log_softmax, save, summarize
from tests.goldens.llama_cpp_reference import LlamaCpp, quantize
from tests.goldens.llama_cpp_reference import version as llama_cpp_version

COMMAND = "make goldens (tests/goldens/make.py distributions)"


def main(models: dict[str, Path]) -> None:
    text = distribution.TEXT.read_bytes()
    about = {"command": COMMAND, "versions": llama_cpp_version(), "machine": platform.machine()}
    for name, path in models.items():
        with LlamaCpp(path) as llama:
            ids = llama.tokenize(text, special=False, bos=True)[: distribution.N_POSITIONS]
            assert len(ids) == distribution.N_POSITIONS
            default = log_softmax(llama.logits(ids))
            others = {
                "batches of 64": log_softmax(llama.logits(ids, n_ubatch=64)),
                "flash attention": log_softmax(llama.logits(ids, flash=True)),
                "F32 cache": log_softmax(llama.logits(ids, kv_type=0)),
            }
        with LlamaCpp(path, repack=False) as llama:
            others["no repacking"] = log_softmax(llama.logits(ids))
        with tempfile.TemporaryDirectory() as folder:
            dequantized = Path(folder, "f32.gguf")
            quantize(path, dequantized, "F32")
            with LlamaCpp(dequantized) as llama:
                exact = log_softmax(llama.logits(ids, kv_type=0))
        noise = {}
        for setting, logprobs in [*others.items(), ("F32 weights", exact)]:
            noise[f"noise {setting}"] = _report(name, setting, default, logprobs, ids)
        ids_array = np.array(ids, np.int32)
        save(name, summarize(default, ids_array), **about, **noise)
        save(f"{name}-f32", summarize(exact, ids_array), **about)


def _report(name: str, setting: str, reference: F64, other: F64, ids: list[int]) -> float:
    """Prints how far llama.cpp is from itself; returns the mean KL as the tests have it."""
    comparison = compare(summarize(reference, np.array(ids, np.int32)), other)
    full = float((np.exp(reference) * (reference - other)).sum(axis=1).mean())
    print(f"{name}, llama.cpp as it is against {setting}: {comparison}; the full KL is {full:.5f}")
    return comparison.kl
