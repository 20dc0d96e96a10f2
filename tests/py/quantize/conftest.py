"""A small float model whose rows are whole K-blocks, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from slmweb.core import Instance
from tests.goldens.tiny_gguf import write_model
from tests.goldens.tiny_models import weights
from tests.py.quantize.files import WIDE


@pytest.fixture(scope="session")
def wide(model_folder: Path) -> Path:
    (path,) = write_model(WIDE, weights(WIDE), model_folder / "wide-f32.gguf")
    return path


@pytest.fixture(scope="session")
def core() -> Instance:
    return Instance("relaxed")
