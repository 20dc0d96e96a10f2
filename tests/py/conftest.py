"""Tiny models, written once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.py.models import CHATML, tiny, with_template


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def llama(model_folder: Path) -> Path:
    """Scored merges, BOS, no chat template."""
    return tiny("llama", model_folder)


@pytest.fixture(scope="session")
def gemma3(model_folder: Path) -> Path:
    """Sliding windows of 24 positions and two kinds of layers."""
    return tiny("gemma3", model_folder)


@pytest.fixture(scope="session")
def qwen2(model_folder: Path) -> Path:
    """Byte-level BPE, no BOS, a ChatML template."""
    plain = tiny("qwen2", model_folder)
    return with_template(plain, model_folder / "tiny-chat.gguf", CHATML)
