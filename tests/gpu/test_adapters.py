"""LoRA adapters on the GPU against the CPU, whose own tests hold it to peft and
llama.cpp: of every matrix, the embedding and the head, mixed, switched and taken out.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from slmweb.core import Instance, Model
from tests.goldens.tiny_adapters import EVERY, LAW, TALE, write_adapter
from tests.goldens.tiny_gguf import write_gguf
from tests.goldens.tiny_models import MODELS, sequence
from tests.gpu.core import GpuInstance
from tests.parity.logits import F32, assert_close, evaluate, worst_position

BOUND = 1e-4
N = 40

Gpu = Callable[[str], GpuInstance]
# One after the other in one session: a mixture, one alone, another scale, none.
MIXES = [((EVERY, 0.5), (TALE, 1.5)), ((LAW, 1.0),), ((EVERY, -0.5),), ()]


def logits(core: Instance, name: str, folder: Path, n_batch: int) -> list[F32]:
    """Those of each of MIXES; a batch of one is evaluated for a few tokens after a longer one."""
    tiny = MODELS[name]
    ids = sequence(tiny)[:N]
    path = folder / f"{name}.gguf"
    if not path.exists():
        write_gguf(name, path)
    with Model.open(path, core=core) as model:
        loaded = {
            a.name: model.load_adapter(write_adapter(tiny, a, folder / f"{name}-{a.name}.gguf"))
            for a in (EVERY, LAW, TALE)
        }
        found = []
        with model.session(N, n_batch) as session:
            for mix in MIXES:
                session.adapters([(loaded[adapter.name], scale) for adapter, scale in mix])
                assert session.reuse(ids) == 0
                found.append(evaluate(session, ids))
        for adapter in loaded.values():
            adapter.close()
    return found


@pytest.mark.parametrize(
    ("form", "name", "n_batch"),
    [
        *(("lane", name, 16) for name in ("llama", "qwen2", "gemma2", "gemma3", "phi4-mini")),
        ("lane", "gemma2", 3),
        ("lane", "gemma4-e2b", 16),
        ("lane", "gemma3n", 16),
        ("sweep", "gemma2", 16),
        ("sweep", "gemma2", 3),
    ],
)
def test_adapters(gpu: Gpu, tmp_path: Path, form: str, name: str, n_batch: int) -> None:
    expected = logits(Instance("simd"), name, tmp_path, 16)
    for a, b in pairwise(expected):
        assert worst_position(a, b)[0] > 0.1, "too faint a test"
    for found, right in zip(logits(gpu(form), name, tmp_path, n_batch), expected, strict=True):
        assert_close(found, right, BOUND)


def test_adapters_of_matrices_that_are_split(script: Path, tmp_path: Path) -> None:
    expected = logits(Instance("simd"), "gemma2", tmp_path, 16)
    with closing(GpuInstance(script, maxBinding=20480)) as core:
        for found, right in zip(logits(core, "gemma2", tmp_path, 16), expected, strict=True):
            assert_close(found, right, BOUND)
