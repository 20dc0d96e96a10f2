"""Folders as training leaves them: which of several weights count, and tensors under the
prefixes of wrappers. What transformers loads is what is converted.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM

from slmweb.convert import convert
from slmweb.errors import SlmError
from tests.py.convert import checkpoints

INDEX = "model.safetensors.index.json"
WEIGHTS = "model.safetensors"


def saved(folder: Path, scale: float = 1.0, **options: object) -> Path:
    tiny = checkpoints.models()["qwen2-untied"]
    model = checkpoints.model_of(tiny)
    with torch.no_grad():
        model.model.embed_tokens.weight.mul_(scale)
    return checkpoints.save(folder, model, checkpoints.tokenizer_of(tiny), **options)


def converted(folder: Path) -> bytes:
    out = folder.parent / "out.gguf"
    convert(folder, out, name="it")
    return out.read_bytes()


def test_a_folder_trained_into_twice(tmp_path: Path) -> None:
    """The new file beside the old index and its shards, or beside what is left of them."""
    expected = converted(saved(tmp_path / "new" / "it", 2.0))
    folder = saved(tmp_path / "it", max_shard_size="200KB")
    new = tmp_path / "new" / "it" / WEIGHTS
    (folder / WEIGHTS).write_bytes(new.read_bytes())
    loaded: Any = AutoModelForCausalLM.from_pretrained(folder)
    embeddings = load_file(new)["model.embed_tokens.weight"]
    assert (loaded.model.embed_tokens.weight.detach().numpy() == embeddings).all()
    result = convert(folder, tmp_path / "out.gguf", name="it")
    assert (tmp_path / "out.gguf").read_bytes() == expected
    assert any(f"{folder / WEIGHTS} is converted" in note for note in result.notes)
    for shard in folder.glob("model-*.safetensors"):
        shard.unlink()
    assert converted(folder) == expected


def test_shards_without_an_index(tmp_path: Path) -> None:
    expected = converted(saved(tmp_path / "whole" / "it"))
    folder = saved(tmp_path / "it", max_shard_size="200KB")
    (folder / INDEX).unlink()
    assert converted(folder) == expected
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 2
    data = shards[1].read_bytes()
    shards[1].unlink()
    with pytest.raises(SlmError, match=f"{shards[1].name} is missing, one of {len(shards)}"):
        converted(folder)
    shards[1].write_bytes(shards[0].read_bytes())
    with pytest.raises(SlmError, match=r"has the tensor .* again"):
        converted(folder)
    shards[1].write_bytes(data)
    (folder / "model-00001-of-00002.safetensors").write_bytes(data)
    with pytest.raises(SlmError, match="shards of several checkpoints"):
        converted(folder)


def test_an_index_whose_shards_are_gone(tmp_path: Path) -> None:
    folder = saved(tmp_path / "it", max_shard_size="200KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    for shard in shards:
        shard.unlink()
    with pytest.raises(SlmError, match=f"is missing, one of {len(shards)} files") as caught:
        converted(folder)
    assert caught.value.code == "unreadable"


def rename(folder: Path, new_name: Callable[[str], str]) -> None:
    tensors = load_file(folder / WEIGHTS)
    renamed = {new_name(name): tensor for name, tensor in tensors.items()}
    save_file(renamed, folder / WEIGHTS, metadata={"format": "pt"})


@pytest.mark.parametrize(
    "new_name",
    [
        lambda name: name.removeprefix("model."),
        lambda name: f"base_model.model.{name}",
        lambda name: f"_orig_mod.{name}",
        lambda name: f"module.{name}",
        lambda name: f"module._orig_mod.{name}",
        lambda name: f"my_trainer.net.{name}",
        lambda name: name.replace("layers.1.", "layers.1._checkpoint_wrapped_module."),
    ],
    ids=["bare", "peft", "compiled", "distributed", "both", "own", "checkpointed layers"],
)
def test_weights_under_another_prefix(new_name: Callable[[str], str], tmp_path: Path) -> None:
    folder = saved(tmp_path / "it")
    expected = converted(folder)
    rename(folder, new_name)
    assert converted(folder) == expected


def test_weights_of_several_models(tmp_path: Path) -> None:
    """Two prefixes are named; a tensor beside its double is, too."""
    folder = saved(tmp_path / "it")
    tensors = load_file(folder / WEIGHTS)
    student = {f"student.{name}": tensor for name, tensor in tensors.items()}
    teacher = {f"teacher.{name}": tensor for name, tensor in tensors.items()}
    save_file(student | teacher, folder / WEIGHTS)
    with pytest.raises(SlmError, match=r"prefixes 'student\.model\.' and 'teacher\.model\.'"):
        converted(folder)
    save_file({f"_orig_mod.{n}": t for n, t in tensors.items()} | tensors, folder / WEIGHTS)
    with pytest.raises(SlmError, match=r"has both .* under different prefixes"):
        converted(folder)


def test_an_adapter_names_its_base(tmp_path: Path) -> None:
    folder = tmp_path / "lora"
    folder.mkdir()
    config = {"peft_type": "LORA", "base_model_name_or_path": "google/gemma-2b"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    for _ in range(2):
        with pytest.raises(SlmError, match="is an adapter of google/gemma-2b") as caught:
            converted(folder)
        assert f"--adapter {folder}" in caught.value.message
        # Some trainers leave the base's config beside it.
        tiny = checkpoints.models()["qwen2-untied"]
        checkpoints.model_of(tiny).config.save_pretrained(folder)
