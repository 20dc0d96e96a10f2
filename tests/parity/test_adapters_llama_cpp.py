"""The adapter files of these tests in llama.cpp: their conventions are its own, and it
computes with them what our core does, wherever it computes at all. Where the head is tied
to the embedding it does not: it refuses an adapter of the head, and ends the process in the
evaluation with one of the embedding. Those are compared with a copy of the base that is untied.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader

from slmweb.core import Instance, Model
from tests.goldens import distribution
from tests.goldens.distribution import F64, log_softmax
from tests.goldens.real_models import REAL_MODELS
from tests.goldens.tiny_adapters import (
    EMBEDDING,
    HEAD,
    LAW,
    TALE,
    TinyAdapter,
    write_adapter,
    write_adapter_file,
)
from tests.goldens.tiny_gguf import write_gguf, write_model
from tests.goldens.tiny_models import MODELS, sequence, uniform, weights
from tests.parity.logits import F32, assert_close, evaluate, worst_position

pytestmark = pytest.mark.llama

KINDS = {
    "matrices": replace(LAW, name="matrices"),
    "embedding": TinyAdapter("embedding", rank=3, alpha=6.0, modules=(), whole=(EMBEDDING,)),
    "head": TinyAdapter("head", rank=3, alpha=6.0, modules=(), whole=(HEAD,)),
    "all": replace(LAW, name="all", whole=(EMBEDDING, HEAD)),
}
UNTIED, TIED = ("llama", "qwen3"), ("llama-gqa", "qwen2", "gemma3")


def llama_logits(base: Path, ids: list[int], mix: list[tuple[Path, float]]) -> F32:
    from tests.goldens.llama_cpp_reference import LlamaCpp

    with LlamaCpp(base) as llama:
        return llama.logits(ids, kv_type=0, adapters=mix)


def our_logits(
    core: Instance, base: Path, ids: list[int], mix: list[tuple[Path, float]], n_batch: int = 96
) -> F32:
    with Model.open(base, core=core) as model, model.session(128, n_batch) as session:
        session.adapters([(model.load_adapter(path), scale) for path, scale in mix])
        return evaluate(session, ids)


@pytest.mark.parametrize("name", ["llama", "qwen2", "gemma2", "gemma3", "phi4-mini"])
def test_llama_cpp_agrees(core: Instance, tmp_path: Path, name: str) -> None:
    tiny = MODELS[name]
    ids = sequence(tiny)
    (base,) = write_gguf(name, tmp_path / "base.gguf")
    mix = [
        (write_adapter(tiny, LAW, tmp_path / "law.gguf"), 0.5),
        (write_adapter(tiny, TALE, tmp_path / "tale.gguf"), 1.5),
    ]
    expected = llama_logits(base, ids, mix)
    assert_close(our_logits(core, base, ids, mix), expected, MODELS[name].llama_cpp_bound)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*UNTIED, *TIED])
def test_every_kind_of_adapter(core: Instance, tmp_path: Path, name: str, kind: str) -> None:
    tiny = MODELS[name]
    ids = sequence(tiny)
    (base,) = write_gguf(name, tmp_path / "base.gguf")
    path = write_adapter(tiny, KINDS[kind], tmp_path / "adapter.gguf")
    theirs = base
    if tiny.tied:
        tensors = weights(tiny)
        tensors[f"{HEAD}.weight"] = tensors[f"{EMBEDDING}.weight"]
        (theirs,) = write_model(replace(tiny, tied=False), tensors, tmp_path / "untied.gguf")
    plain = llama_logits(theirs, ids, [])
    assert_close(our_logits(core, base, ids, []), plain, MODELS[name].llama_cpp_bound)
    for scale in (1.0, -0.5):
        expected = llama_logits(theirs, ids, [(path, scale)])
        assert worst_position(expected, plain)[0] > 0.1, "too faint a test"
        for n_batch in (96, 1):
            found = our_logits(core, base, ids, [(path, scale)], n_batch)
            assert_close(found, expected, MODELS[name].llama_cpp_bound)


@pytest.mark.parametrize("name", TIED)
def test_what_llama_cpp_does_not_do(tmp_path: Path, name: str) -> None:
    """Once it does, docs/adapters.md and the copy of the base above have had their day."""
    tiny = MODELS[name]
    (base,) = write_gguf(name, tmp_path / "base.gguf")
    head, embedding = (
        write_adapter(tiny, KINDS[kind], tmp_path / f"{kind}.gguf")
        for kind in ("head", "embedding")
    )
    with pytest.raises(RuntimeError, match="cannot load"):
        llama_logits(base, sequence(tiny), [(head, 1.0)])
    script = (
        "import sys; from pathlib import Path; "
        "from tests.parity.test_adapters_llama_cpp import llama_logits; "
        "llama_logits(Path(sys.argv[1]), [5, 6, 7], [(Path(sys.argv[2]), 1.0)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, base, embedding],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode < 0, done.stderr  # by a signal
    assert "GGML_ASSERT" in done.stderr


def real_adapter(base: Path, path: Path, rank: int = 8) -> Path:
    """Random changes of every matrix of every layer, a fraction of those matrices."""
    reader = GGUFReader(base)
    tensors = {}
    for tensor in reader.tensors:
        if tensor.name.startswith("blk.") and len(tensor.shape) == 2:
            columns, rows = map(int, tensor.shape)
            a = uniform(f"{tensor.name} a", (rank, columns)) * (3 / columns) ** 0.5
            b = uniform(f"{tensor.name} b", (rows, rank)) * 0.05
            tensors[f"{tensor.name}.lora_a"] = a.astype(np.float32)
            tensors[f"{tensor.name}.lora_b"] = b.astype(np.float32)
    architecture = str(reader.fields["general.architecture"].contents())
    return write_adapter_file(path, tensors, architecture=architecture, alpha=float(rank))


def kl(p: F64, q: F64) -> float:
    return float((np.exp(p) * (p - q)).sum(axis=1).mean())


@pytest.mark.parametrize("name", REAL_MODELS)
def test_real_models(tmp_path: Path, name: str, real_model: Callable[[str], Path]) -> None:
    """As in test_distributions.py, the same weights in F32 say what is right, for there llama.cpp
    rounds nothing: we come about as near to it as llama.cpp does with the file as it is."""
    from tests.goldens.llama_cpp_reference import quantize

    base, exact_base = real_model(name), tmp_path / "f32.gguf"
    mix = [(real_adapter(base, tmp_path / "adapter.gguf"), 1.5)]
    core = Instance("relaxed")
    with Model.open(base, core=core) as model:
        text = distribution.TEXT.read_bytes()
        ids = model.tokenizer.encode(text, special=False)[:96]
    quantize(base, exact_base, "F32")
    exact = log_softmax(llama_logits(exact_base, ids, mix))
    plain = log_softmax(llama_logits(exact_base, ids, []))
    exact_base.unlink()  # a gigabyte
    theirs = kl(exact, log_softmax(llama_logits(base, ids, mix)))
    ours = kl(exact, log_softmax(our_logits(core, base, ids, mix)))
    print(f"{name} with an adapter, against exact weights: {ours:.5f}, llama.cpp {theirs:.5f}")
    assert ours <= max(0.005, 1.2 * theirs)
    assert kl(exact, plain) > 5 * ours, "too faint a test"
