"""The adapter files of these tests in llama.cpp: their conventions are its own, and it
computes with them what our core does."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from slmweb.core import Instance, Model
from tests.goldens.tiny_adapters import LAW, TALE, write_adapter
from tests.goldens.tiny_gguf import write_gguf
from tests.goldens.tiny_models import MODELS, sequence
from tests.parity.logits import assert_close, evaluate


@pytest.mark.llama
@pytest.mark.parametrize("name", ["llama", "qwen2", "gemma2", "gemma3"])
def test_llama_cpp_agrees(core: Instance, tmp_path: Path, name: str) -> None:
    from tests.goldens.llama_cpp_reference import LlamaCpp

    tiny = MODELS[name]
    ids = sequence(tiny)
    (base,) = write_gguf(name, tmp_path / "base.gguf")
    mix = [
        (write_adapter(tiny, LAW, tmp_path / "law.gguf"), 0.5),
        (write_adapter(tiny, TALE, tmp_path / "tale.gguf"), 1.5),
    ]
    with LlamaCpp(base) as llama:
        expected = llama.logits(ids, kv_type=0, adapters=mix)
    with Model.open(base, core=core) as model, model.session(128) as session:
        session.adapters([(model.load_adapter(path), scale) for path, scale in mix])
        found = evaluate(session, ids)
    # ggml takes GELU from a half-precision table, whose error grows with depth.
    bound = (1e-3 if tiny.is_gemma else 1e-5) * math.sqrt(tiny.n_layer)
    assert_close(found, expected, bound)
