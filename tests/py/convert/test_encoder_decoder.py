"""T5Gemma 2 as transformers saves it, converted: answers are transformers' to the rounding of
float32, under either of the names that its tensors have had. What is not alike in both halves, and
the first T5Gemma, are refused by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from slmweb.convert.convert import convert
from slmweb.core import Model
from slmweb.errors import SlmError
from slmweb.plan.shape import read_shape
from tests.goldens.make_answers import transformers_answer, transformers_model
from tests.goldens.tiny_models import ENCODER_DECODERS, TinyModel, answer, sequence
from tests.parity.logits import assert_close
from tests.parity.test_answers import told
from tests.py.convert.checkpoints import N_VOCAB, gemma_tokenizer, save

# Queries carry what the runtime's scale lacks.
TINY = replace(ENCODER_DECODERS["t5gemma2-4b"], n_vocab=N_VOCAB, query_pre_attn_scalar=20)


@pytest.fixture(scope="module")
def hf() -> Any:
    return transformers_model(TINY)


@pytest.fixture(scope="module")
def saved(hf: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("t5gemma2") / "tiny", hf, gemma_tokenizer())


def assert_answers(path: Path, hf: Any, tiny: TinyModel) -> None:
    prompt, given = sequence(tiny, 61), answer(tiny, 30)
    with Model.open(path) as model, model.session(128, 32) as session:
        assert_close(told(session, prompt, given, 32), transformers_answer(hf, prompt, given), 2e-5)


@pytest.mark.parametrize("nested", [True, False])
def test_answers(saved: Path, hf: Any, tmp_path: Path, nested: bool) -> None:
    tensors = load_file(saved / "model.safetensors")
    folder = tmp_path / "renamed"
    folder.mkdir()
    for file in saved.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    flat = {name.replace("encoder.text_model.", "encoder."): t for name, t in tensors.items()}
    text = ("embed_tokens.", "layers.", "norm.")
    deep = {
        f"model.encoder.text_model.{name.removeprefix('model.encoder.')}"
        if name.startswith(tuple(f"model.encoder.{part}" for part in text))
        else name: t
        for name, t in flat.items()
    }
    save_file(deep if nested else flat, folder / "model.safetensors", {"format": "pt"})
    done = convert(folder, tmp_path / "model.gguf", type="f32")
    assert done.architecture == "t5gemma2" and done.vision is None
    assert any("vision part" in note for note in done.notes)
    assert_answers(tmp_path / "model.gguf", hf, TINY)
    # What is planned without weights is what was written.
    planned = {t.name: (t.rows, t.columns) for t in read_shape(folder).tensors}
    assert planned == {t.name: (t.rows, t.columns) for t in read_shape(done_path(tmp_path)).tensors}


def done_path(folder: Path) -> Path:
    return folder / "model.gguf"


def changed(saved: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    folder.mkdir()
    config = json.loads((saved / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize("key", ["sliding_window", "num_hidden_layers", "intermediate_size"])
def test_halves_that_differ_are_refused(saved: Path, tmp_path: Path, key: str) -> None:
    def other(config: dict[str, Any]) -> None:
        config["encoder"]["text_config"][key] += 1

    folder = changed(saved, tmp_path / "other", other)
    with pytest.raises(SlmError, match=f"encoder and a decoder that differ by {key}"):
        convert(folder, tmp_path / "model.gguf")
    with pytest.raises(SlmError, match=f"differ by {key}"):
        read_shape(folder)


def test_a_config_without_its_halves(saved: Path, tmp_path: Path) -> None:
    folder = changed(saved, tmp_path / "half", lambda config: config.pop("encoder"))
    with pytest.raises(SlmError, match="no encoder with a text_config or no decoder"):
        convert(folder, tmp_path / "model.gguf")


def test_the_first_t5gemma_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "first"
    folder.mkdir()
    config = {"model_type": "t5gemma", "is_encoder_decoder": True}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(SlmError, match="'t5gemma', which is not supported.*encoder and a decoder"):
        convert(folder, tmp_path / "model.gguf")
