"""Encoders of Gemma 4's that are refused: what the core would compute otherwise is said before
anything is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from slmweb.convert import convert
from slmweb.errors import SlmError
from tests.goldens.tiny_pictures import VISIONS, transformers_vision
from tests.py.convert import checkpoints

TOWER = "model.vision_tower."


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    vision = VISIONS["gemma4-pictures"]
    folder = tmp_path_factory.mktemp("gemma4") / "checkpoint"
    tokenizer = checkpoints.tokenizer_of(vision.text)
    return checkpoints.save(folder, transformers_vision(vision), tokenizer)


def refusal(saved: Path, folder: Path, change: Callable[[Any, Any], None]) -> SlmError:
    copy = shutil.copytree(saved, folder / "copy")
    config = json.loads((copy / "config.json").read_text())
    tensors = load_file(copy / "model.safetensors")
    change(config["vision_config"], tensors)
    (copy / "config.json").write_text(json.dumps(config))
    save_file(tensors, copy / "model.safetensors", {"format": "pt"})
    with pytest.raises(SlmError) as raised:
        convert(copy, folder / "out.gguf")
    assert not list(folder.glob("*.gguf"))
    return raised.value


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("rope_parameters", {"rope_type": "axial", "rope_theta": 1e4}, "with a rope of 10000"),
        ("head_dim", 32, "4 heads of 32 columns"),
        ("num_key_value_heads", 2, "as many of keys as of queries"),
        ("hidden_activation", "silu", "the activation 'silu'"),
    ],
)
def test_a_config_that_asks_for_something_else(
    saved: Path, tmp_path: Path, key: str, value: Any, words: str
) -> None:
    error = refusal(saved, tmp_path, lambda config, _: config.update({key: value}))
    assert error.code == "unsupported"
    assert words in error.message


def test_bounds_that_are_promised_and_not_there(saved: Path, tmp_path: Path) -> None:
    name = f"{TOWER}encoder.layers.1.mlp.up_proj.output_max"
    error = refusal(saved, tmp_path, lambda _, tensors: tensors.pop(name))
    assert error.code == "bad_file"
    assert "layers.1.mlp.up_proj.output_max" in error.message


def test_bounds_that_nobody_promised_are_not_ignored(saved: Path, tmp_path: Path) -> None:
    error = refusal(
        saved, tmp_path, lambda config, _: config.update({"use_clipped_linears": False})
    )
    assert error.code == "unsupported"
    assert "would give wrong answers" in error.message


def test_the_larger_models_standardize(saved: Path, tmp_path: Path) -> None:
    def standardize(_: Any, tensors: Any) -> None:
        tensors[f"{TOWER}std_bias"] = np.zeros(96, np.float32)

    error = refusal(saved, tmp_path, standardize)
    assert error.code == "unsupported"
    assert "std_bias" in error.message
