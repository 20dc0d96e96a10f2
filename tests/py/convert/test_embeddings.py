"""Models that embed texts: what the core makes of a converted checkpoint against what
transformers makes of the checkpoint, and the chains of modules that are refused.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from slmweb.convert import convert
from slmweb.core import Instance, Model
from tests.goldens.tiny_models import EMBEDDERS, TinyModel, sequence
from tests.goldens.transformers_models import transformers_embedding
from tests.py.convert import checkpoints

BOUND = 1e-4
TINY = {name: replace(m, n_vocab=checkpoints.N_VOCAB) for name, m in EMBEDDERS.items()}
# One token, fewer than a window, more than one, and more than four times as many.
LENGTHS = (1, 5, 40, 96)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = tmp_path_factory.mktemp("embedders")
    return {name: checkpoints.save_embedder(made / name, tiny) for name, tiny in TINY.items()}


def expected(tiny: TinyModel, n: int) -> NDArray[np.float32]:
    raw = transformers_embedding(tiny, sequence(tiny, n))
    unit: NDArray[np.float32] = raw / np.linalg.norm(raw)
    return unit


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("n", LENGTHS)
def test_every_family(
    folders: dict[str, Path], tmp_path: Path, core: Instance, name: str, n: int
) -> None:
    tiny = TINY[name]
    assert convert(folders[name], tmp_path / "out.gguf", type="f32").architecture == tiny.arch
    with (
        Model.open(tmp_path / "out.gguf", core=core) as model,
        model.session(128) as session,
    ):
        assert model.info["n_embedding"] == tiny.n_embedding
        found = session.embed(sequence(tiny, n))
        again = session.embed(sequence(tiny, n))
    assert np.linalg.norm(found - expected(tiny, n)) < BOUND
    np.testing.assert_array_equal(found, again)  # whatever was embedded before
