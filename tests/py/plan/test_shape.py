"""Shapes without weights: config.json against transformers, and all ways to one shape."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from slmweb.errors import SlmError
from slmweb.pack.pack import pack
from slmweb.plan.shape import Shape, from_config, read_shape
from slmweb.pull.registry import read_registry
from tests.goldens.tiny_adapters import LAW, write_adapter
from tests.goldens.tiny_models import MODELS
from tests.py.models import tiny

ROOT = Path(__file__).parents[3]
SMOLLM2 = ROOT / "dist/gguf/SmolLM2-135M-Instruct.Q4_1.gguf"
CONFIGS = {key: e.config for key, e in read_registry().models.items() if e.config is not None}


@pytest.mark.parametrize("key", CONFIGS)
def test_a_config_has_the_parameters_that_transformers_gives_it(key: str) -> None:
    """Of every registry entry; on the meta device a model has shapes and no memory. Of one that
    sees, the language model; test_encoder.py has the rest."""
    whole = dict(CONFIGS[key])
    config = dict(whole.get("text_config", whole.get("decoder", whole)))
    gemma = str(config["model_type"]).startswith("gemma")
    tied = whole.get("tie_word_embeddings", config.get("tie_word_embeddings", gemma))
    reads = "decoder" in whole
    if reads:
        config, tied = whole, True
    made = transformers.AutoConfig.for_model(**config | {"tie_word_embeddings": tied})
    shape = from_config(whole, key)
    kind: Any = transformers.AutoModel if shape.embeds else transformers.AutoModelForCausalLM
    kind = transformers.T5Gemma2ForConditionalGeneration if reads else kind
    with torch.device("meta"):
        model = kind._from_config(made) if reads else kind.from_config(made)
    parameters = {name: p.numel() for name, p in model.named_parameters()}
    # Of another folder, buffers, and what the converter makes.
    beside = ("dense_", "rope_freqs", "layer_output_scale")
    dense = sum(t.elements for t in shape.tensors if any(b in t.name for b in beside))
    sight = ("pooler.", "vision_tower.", "multi_modal_projector.", "eoi_embedding")
    known = sum(n for name, n in parameters.items() if not any(part in name for part in sight))
    if config["model_type"] == "xlm-roberta":  # rows of positions that no text reaches
        known -= 2 * shape.n_embd
    if config["model_type"] == "gemma3n_text":  # rows of zeros, of tokens of pictures and sound
        padded = shape.n_vocab - config["vocab_size_per_layer_input"]
        known += padded * shape.n_layer * shape.n_per_layer
    assert shape.parameters - dense == known


def bare(shape: Shape) -> Shape:
    """Without what a config cannot know: tensor types, tensor order and the header's length."""
    tensors = sorted((replace(t, type="") for t in shape.tensors), key=lambda t: t.name)
    return replace(shape, tensors=tuple(tensors), header_bytes=0)


def test_config_and_gguf_of_smollm2_agree() -> None:
    """Two independent descriptions of one model: the registry's, and the file's."""
    assert bare(from_config(CONFIGS["smollm2"], "smollm2")) == bare(read_shape(SMOLLM2))


def test_a_packed_folder_and_its_file_agree(tmp_path: Path) -> None:
    path = tiny("gemma3", tmp_path)
    pack([path], tmp_path / "packed", chunk_size=4096)
    shape = read_shape(tmp_path / "packed")
    assert shape == read_shape(path)
    assert shape.file_bytes <= path.stat().st_size < shape.file_bytes + 32 * len(shape.tensors)


def test_the_adapters_of_a_packed_folder_are_no_part_of_its_shape(tmp_path: Path) -> None:
    path = tiny("qwen2", tmp_path)
    law = write_adapter(MODELS["qwen2"], LAW, tmp_path / "law.gguf")
    pack([path], tmp_path / "packed", adapters=[(law, None)])
    assert read_shape(tmp_path / "packed") == read_shape(path)


def test_a_checkpoint_folder_needs_no_more_than_its_config(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS["gemma2-2b-it"]))
    shape = read_shape(tmp_path)
    assert shape.windows == (4096, 0) * 13
    assert shape == read_shape(tmp_path / "config.json")


def test_a_multimodal_config_is_its_text_model() -> None:
    inner = dict(CONFIGS["gemma3-1b-it"])
    outer = from_config({"model_type": "gemma3", "text_config": inner}, "outer")
    assert outer == from_config(inner, "inner")


def test_rows_that_do_not_fit_a_block_take_another_type() -> None:
    """576 columns are no multiple of 256; llama.cpp takes Q5_0 for Q4_K then."""
    kinds = {
        t.columns: t.type for t in read_shape(SMOLLM2).quantized("Q4_K").tensors if t.is_matrix
    }
    assert kinds == {576: "Q5_0", 1536: "Q4_K"}


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"model_type": "fnet"}, "model type 'fnet', which does not run here"),
        ({"model_type": "llama", "hidden_size": 0}, "'hidden_size', not 0"),
        ({"model_type": "llama", "hidden_size": 8}, "'num_attention_heads', not None"),
        ({}, "model type None"),
    ],
)
def test_a_config_that_makes_no_sense_is_named(config: dict[str, object], complaint: str) -> None:
    with pytest.raises(SlmError, match=complaint):
        from_config(config, "config.json")


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(SlmError, match=r"config\.json: no such file.*name a GGUF file"):
        read_shape(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(SlmError, match="is not JSON"):
        read_shape(tmp_path)
