"""T5Gemma 2 as transformers saves it, converted: answers are transformers' to the rounding of
float32, under either of the names that its tensors have had. What is not alike in both halves, and
the first T5Gemma, are refused by name.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from slmweb.convert.convert import convert, convert_adapter
from slmweb.core import Model
from slmweb.errors import SlmError
from slmweb.pack.known_answer import verify
from slmweb.pack.pack import pack
from slmweb.plan.shape import read_shape
from slmweb.quantize import imatrix
from slmweb.quantize.quantize import quantize
from tests.goldens.make_answers import transformers_answer, transformers_model
from tests.goldens.tiny_models import ENCODER_DECODERS, TinyModel, answer, sequence, uniform
from tests.parity.logits import F32, assert_close, worst_position
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
    assert (done.architecture, done.vision) == ("t5gemma2", None)
    assert any("vision part" in note for note in done.notes)
    assert_answers(tmp_path / "model.gguf", hf, TINY)
    # What is planned without weights is what was written.
    planned, written = read_shape(folder), read_shape(tmp_path / "model.gguf")
    assert {(t.name, t.rows, t.columns) for t in planned.tensors} == {
        (t.name, t.rows, t.columns) for t in written.tensors
    }
    assert (planned.windows, planned.n_ctx_train) == (written.windows, written.n_ctx_train)


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
    with pytest.raises(SlmError, match=r"'t5gemma', which is not supported.*encoder and a"):
        convert(folder, tmp_path / "model.gguf")


def test_an_adapter_of_both_halves(saved: Path, hf: Any, tmp_path: Path) -> None:
    """Merged and at run time: what transformers computes with the sums in its weights."""
    rank, changed_model = 2, copy.deepcopy(hf)
    state = changed_model.state_dict()
    pairs: dict[str, F32] = {}
    for at in (
        "encoder.text_model.layers.1.self_attn.k_proj",
        "encoder.text_model.layers.0.mlp.up_proj",
        "decoder.layers.2.self_attn.v_proj",
        "decoder.layers.5.mlp.down_proj",
    ):
        rows, columns = state[f"model.{at}.weight"].shape
        a = (uniform(f"{at} a", (rank, columns)) / 4).astype(np.float32)
        b = (uniform(f"{at} b", (rows, rank)) / 4).astype(np.float32)
        pairs |= {f"base_model.model.model.{at}.lora_A.weight": a,
                  f"base_model.model.model.{at}.lora_B.weight": b}  # fmt: skip
        state[f"model.{at}.weight"] += torch.from_numpy(2 * b @ a)
    folder = tmp_path / "lora"
    folder.mkdir()
    save_file(pairs, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": ["k_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    merged, base, lora = (tmp_path / name for name in ("merged.gguf", "base.gguf", "lora.gguf"))
    convert(saved, merged, type="f32", adapters=[(folder, 1.0)])
    assert_answers(merged, changed_model, TINY)
    convert(saved, base, type="f32")
    convert_adapter(folder, lora, base=saved, type="f32")
    prompt, given = sequence(TINY, 40), answer(TINY, 5)
    expected = transformers_answer(changed_model, prompt, given)
    assert np.abs(expected - transformers_answer(hf, prompt, given)).max() > 0.1
    with Model.open(base) as model, model.session(128, 32) as session:
        session.adapters([(model.load_adapter(lora), 1.0)])
        assert_close(told(session, prompt, given, 32), expected, 2e-5)


def test_fewer_bits_and_a_pack(saved: Path, hf: Any, tmp_path: Path) -> None:
    """Matrices of both halves are rounded, and the pack's known answer is that of what remains."""
    convert(saved, tmp_path / "model.gguf", type="f32")
    quantize(tmp_path / "model.gguf", tmp_path / "small.gguf", type="Q8_0")
    folder = tmp_path / "packed"
    pack([tmp_path / "small.gguf"], folder)
    prompt, given = sequence(TINY, 61), answer(TINY, 30)
    with Model.open(folder) as model, model.session(128, 32) as session:
        kinds = {t["type"] for t in model.info["tensors"] if "ffn_up" in t["name"]}
        assert verify(model, folder) < 2e-4
        # As far as eight bits of a model this small are from its own.
        distance, _ = worst_position(
            told(session, prompt, given, 32), transformers_answer(hf, prompt, given)
        )
    assert "F32" not in kinds
    assert distance < 0.1


def test_an_importance_matrix_has_both_halves(saved: Path, tmp_path: Path) -> None:
    """Of each chunk the encoder reads a half, and the decoder answers with the other."""
    convert(saved, tmp_path / "model.gguf", type="f32")
    with Model.open(tmp_path / "model.gguf") as model:
        text = b"It is a truth universally acknowledged, that a single man wants a wife." * 2
        matrix = imatrix.compute(model, text, dataset="prose", chunk=32, max_chunks=2)
    tokens = {name: entry.count for name, entry in matrix.entries.items()}
    assert {tokens[f"enc.blk.3.{name}.weight"] for name in ("attn_q", "attn_k", "ffn_down")} == {32}
    # Each answer's first token, and sixteen more.
    assert {tokens[f"blk.3.{name}.weight"] for name in ("attn_q", "ffn_down")} == {34}
    assert tokens["blk.3.attn_k.weight"] == tokens["blk.3.attn_v.weight"] == 66
