"""The benchmark of long contexts measures what it says: a model whose memory does not grow."""

from __future__ import annotations

from pathlib import Path

import pytest
from gguf import GGUFReader

from bench import long
from bench.results import Key, Results
from slmweb.plan.shape import read_shape


def test_every_length_has_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long, "DIST", tmp_path)
    found = Results("2026-01-01")
    lengths = (80, 2400, 4000)
    long.run(found, 2, lengths)
    values = found.values()
    for length in lengths:
        rates = values[Key("slmweb", long.NAME, 1, long.decode_at(length))]
        assert len(rates) == 2
        assert min(rates) > 0
    small, *full = (values[Key("slmweb", long.NAME, 1, long.memory_at(n))][0] for n in lengths)
    assert small < full[0] == full[1]


def test_its_model_is_one_that_plan_and_core_agree_on(tmp_path: Path) -> None:
    path = long.write_model(tmp_path / "model.gguf")
    shape = read_shape(path)
    assert shape.channels == 512
    assert len(shape.states) == 4
    kinds = {tensor.tensor_type.name for tensor in GGUFReader(path).tensors}
    assert kinds == {"F32", "Q4_0"}
