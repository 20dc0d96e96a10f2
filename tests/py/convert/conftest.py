"""One core for all tests of the converter, and one checkpoint that many tests damage."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from slmweb.core import Instance
from tests.py.convert import checkpoints


@pytest.fixture(scope="session")
def core() -> Instance:
    """One variant: what is tested is the file, not the kernels."""
    return Instance("relaxed")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Matrices this small are slower with more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def qwen2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of every file that is common, not to be changed."""
    tiny = checkpoints.models()["qwen2-untied"]
    return checkpoints.save(
        tmp_path_factory.mktemp("checkpoint") / "tiny-qwen2",
        checkpoints.model_of(tiny),
        checkpoints.tokenizer_of(tiny),
    )


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[Path], Path]:
    """A copy of a checkpoint that a test may damage."""

    def copy(folder: Path) -> Path:
        return Path(shutil.copytree(folder, tmp_path / "copy"))

    return copy
