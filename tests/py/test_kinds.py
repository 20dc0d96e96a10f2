"""Kinds that do not run here are refused by name, with what to use in their place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gguf.constants import MODEL_ARCH_NAMES
from transformers import CONFIG_MAPPING

from slmweb.convert import families, recognize
from slmweb.convert.checkpoint import Checkpoint
from slmweb.convert.hyperparameters import family_of
from slmweb.core.model import Model
from slmweb.errors import SlmError
from slmweb.kinds import KINDS, advice
from slmweb.plan.shape import from_config, read_shape, runs
from slmweb.pull.registry import read_registry
from tests.py.models import tiny


def test_every_name_is_that_of_a_model_that_does_not_run() -> None:
    known = {*CONFIG_MAPPING.keys(), *MODEL_ARCH_NAMES.values()}
    ours = {family.model_type for family in families.FAMILIES}
    seen: set[str] = set()
    for kind in KINDS:
        assert kind.names <= known
        assert not kind.names & (seen | ours | set(recognize.MULTIMODAL))
        assert not any(map(runs, kind.names))
        seen |= kind.names


def test_what_is_advised_can_be_pulled() -> None:
    models = read_registry().models
    assert all(any(name in kind.instead for name in models) for kind in KINDS)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"model_type": "mixtral"}, "it is a mixture of experts, .*; use a dense model instead"),
        ({"model_type": "new", "num_local_experts": 8}, "it is a mixture of experts"),
        ({"model_type": "new", "audio_config": {"a": 1}, "vision_config": {"a": 1}}, "that hears"),
        ({"model_type": "whisper", "is_encoder_decoder": True}, "that hears or speaks"),
        ({"model_type": "llada"}, "it is a diffusion model"),
        ({"model_type": "mamba2"}, "carries a state"),
        ({"model_type": "t5"}, "an encoder and a decoder"),
        ({"model_type": "new", "num_experts": 1}, "supported are"),
        ({"model_type": "new", "vision_config": {}}, "supported are"),
    ],
)
def test_a_checkpoint_is_refused_by_name(config: dict[str, Any], told: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with (
        Checkpoint(tmp_path) as checkpoint,
        pytest.raises(SlmError, match=f"'{config['model_type']}', .*{told}") as error,
    ):
        family_of(checkpoint)
    assert error.value.code == "unsupported"
    with pytest.raises(SlmError, match=f"'{config['model_type']}', .*{told}"):
        from_config(config, "config.json")


def test_a_pipeline_of_diffusers_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(SlmError, match="is a pipeline of FluxPipeline, which makes images"):
        Checkpoint(tmp_path)


def test_a_gguf_is_refused_by_name(tmp_path: Path) -> None:
    """The core says what it knows, and the advice follows."""
    key = b"general.architecture" + (8).to_bytes(4, "little") + (5).to_bytes(8, "little")
    path = tmp_path / "m.gguf"
    path.write_bytes(tiny("llama", tmp_path).read_bytes().replace(key + b"llama", key + b"mamba"))
    told = "; it is a model that carries a state .* use one with attention in every layer"
    with pytest.raises(SlmError, match=f"'mamba' is not supported; supported are .*{told}"):
        Model.open(path)
    with pytest.raises(SlmError, match=f"'mamba', which does not run here{told}"):
        read_shape(path)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ("qwen3_moe gpt_oss gpt-oss olmoe granitemoe deepseek2 deepseek_v3", "mixture of experts"),
        ("whisper voxtral qwen2_audio moshi", "hears or speaks"),
        ("llada dream diffusion_gemma", "diffusion model"),
        ("t5 mt5 bart t5encoder", "an encoder and a decoder"),
        ("mamba mamba2 rwkv6 rwkv7 jamba", "carries a state"),
        ("roberta deberta-v2 modernbert xlnet layoutlm dinov2", "instead"),
    ],
)
def test_what_people_try_is_told_apart(names: str, told: str) -> None:
    for name in names.split():
        assert told in (advice(name) or ""), name


def test_nobody_knows_everything() -> None:
    assert advice("nosuchmodel") is None
