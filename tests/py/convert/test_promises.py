"""What a config promises against what the weights hold, and values that it says twice, by
transformers 4's name and by 5's: the file computes what transformers computes, or the
checkpoint is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM

from slmweb.convert import convert
from slmweb.core import Instance
from slmweb.errors import SlmError
from tests.goldens.tiny_models import LongRope, sequence
from tests.parity.logits import assert_close
from tests.py.convert import checkpoints
from tests.py.convert.test_logits import BOUND, MODELS, core_logits

Json = dict[str, Any]
Tensors = dict[str, Any]
Change = Callable[[Json, Tensors], None]

LINEAR = {"rope_type": "linear", "factor": 4.0}
OLD_LINEAR = {"type": "linear", "factor": 4.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
LONG = {
    "rope_type": "longrope",
    "partial_rotary_factor": 0.75,
    **LongRope().factors(12),
}
OLD_LONG = {"type": "longrope", **LongRope().factors(12)}
DEFAULT = {"rope_type": "default"}
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


def says(_drop: tuple[str, ...] = (), **values: object) -> Change:
    """The config with these values, and without those of `_drop`."""

    def change(config: Json, tensors: Tensors) -> None:
        for key in _drop:
            config.pop(key, None)
        config |= values

    return change


def rope(**layers: Json) -> Json:
    """Gemma 3's rope_parameters, by the kind of layer."""
    return {f"{kind}_attention": values for kind, values in layers.items()}


def other_head(config: Json, tensors: Tensors) -> None:
    tensors[HEAD] = tensors[EMBEDDING] * np.float32(0.5) + np.float32(0.01)


def same_head(config: Json, tensors: Tensors) -> None:
    tensors[HEAD] = tensors[EMBEDDING].copy()


def head_alone(config: Json, tensors: Tensors) -> None:
    tensors[HEAD] = tensors.pop(EMBEDDING)


def smaller_head(config: Json, tensors: Tensors) -> None:
    tensors[HEAD] = tensors[EMBEDDING][:-3].copy()


def untied_same_head(config: Json, tensors: Tensors) -> None:
    config["tie_word_embeddings"] = False
    same_head(config, tensors)


def biases(*modules: str, **promises: bool) -> Change:
    """Biases on modules of every layer, whatever the config promises."""

    def change(config: Json, tensors: Tensors) -> None:
        config |= promises
        for name in [n for n in tensors if n.endswith(tuple(f"{m}.weight" for m in modules))]:
            rows = tensors[name].shape[0]
            bias = np.linspace(-1, 1, rows, dtype=np.float32)
            tensors[name.replace(".weight", ".bias")] = bias

    return change


def checkpoint(folder: Path, name: str, change: Change) -> Path:
    tiny = MODELS[name]
    checkpoints.save(folder, checkpoints.model_of(tiny), checkpoints.tokenizer_of(tiny))
    config = json.loads((folder / "config.json").read_text())
    tensors = load_file(folder / "model.safetensors")
    change(config, tensors)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
FEED_FORWARD = ("gate_proj", "up_proj", "down_proj")
NO_ROPE = ("rope_parameters",)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *((name, says(rope_scaling=LINEAR)) for name in ("llama", "qwen3", "gemma", "gemma2")),
        ("qwen2", says(rope_scaling=OLD_LINEAR)),
        ("qwen2", says(rope_scaling={"rope_type": "default", "type": "linear", "factor": 4.0})),
        ("qwen2", says(rope_scaling={**LINEAR, "rope_theta": 900.0}, rope_theta=500.0)),
        ("llama", says(rope_theta=500.0)),
        ("llama", says(rope_parameters=DEFAULT, rope_theta=500.0)),
        ("llama", says(NO_ROPE, rope_theta=500.0)),
        ("llama", says(NO_ROPE)),
        ("llama-rope-scaling", says(original_max_position_embeddings=256)),
        ("gemma3", says(rope_scaling=LINEAR)),
        ("gemma3", says(rope_scaling={**LINEAR, "rope_theta": 123.0})),
        ("gemma3", says(rope_theta=500.0, rope_local_base_freq=77.0)),
        (
            "gemma3",
            says(
                rope_parameters=rope(full=DEFAULT, sliding=DEFAULT),
                rope_theta=500.0,
                rope_local_base_freq=77.0,
            ),
        ),
        ("gemma3", says(rope_parameters=rope(full={**DEFAULT, "rope_theta": 500.0}))),
        ("gemma3", says(NO_ROPE)),
        *((name, other_head) for name in ("llama-gqa", "qwen2", "gemma3")),
        *((name, same_head) for name in ("llama-gqa", "gemma2")),
        *((name, head_alone) for name in ("qwen2", "gemma", "gemma3")),
        ("gemma2", untied_same_head),
        ("llama", biases(*ATTENTION, attention_bias=True)),
        ("llama", biases(*FEED_FORWARD, mlp_bias=True)),
        ("llama", says(attention_bias=True, mlp_bias=True)),
        ("llama", says(hidden_act="swish")),
        ("llama", says(hidden_activation="relu")),
        ("gemma", says(hidden_act="gelu")),
        ("gemma2", says(hidden_act="relu")),
        ("qwen2", says(sliding_window=8)),
        ("gemma2", says(sliding_window=8)),
        ("gemma2", says(query_pre_attn_scalar=7)),
        ("gemma3", says(("query_pre_attn_scalar",), rms_norm_eps=0.1)),
        ("llama", says(("head_dim", "num_key_value_heads"))),
        ("smollm3", says(no_rope_layers=None)),
        ("smollm3", says(("no_rope_layers", "rope_parameters"), rope_theta=500.0)),
        ("smollm3", biases(*ATTENTION, attention_bias=True)),
        ("granite", biases(*ATTENTION, attention_bias=True)),
        ("granite", biases(*FEED_FORWARD, mlp_bias=True)),
        ("granite", says(("residual_multiplier", "logits_scaling"), attention_multiplier=0.2)),
        ("olmo3", says(("layer_types",))),
        ("olmo3", says(rope_scaling={**YARN, "attention_factor": 1.3})),
        ("olmo3", says(NO_ROPE, rope_theta=500000.0, rope_scaling=YARN)),
        ("olmo3", says(NO_ROPE)),
        ("phi3-mini", says(sliding_window=None)),
        ("phi4-mini", says(sliding_window=16)),
        ("phi4-mini", lambda config, _: config["rope_parameters"].update(attention_factor=1.3)),
        ("phi4-mini", says(NO_ROPE, rope_scaling=OLD_LONG, partial_rotary_factor=0.75)),
        ("phi4-mini", says(rope_parameters=DEFAULT, partial_rotary_factor=0.5, rope_theta=500.0)),
        ("gemma2", says(num_attention_heads=8, num_key_value_heads=4, head_dim=16)),
    ],
)  # fmt: skip
def test_what_transformers_makes_of_it(
    name: str, change: Change, tmp_path: Path, core: Instance
) -> None:
    folder = checkpoint(tmp_path / "it", name, change)
    convert(folder, tmp_path / "out.gguf", type="f32")
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    ids = sequence(MODELS[name])
    expected = checkpoints.logits(model.eval(), ids)
    assert_close(core_logits(tmp_path / "out.gguf", ids, core), expected, BOUND)


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("llama", says(rope_scaling=YARN), "scaling 'yarn'"),
        ("gemma3", says(rope_scaling=YARN), "scaling 'yarn'"),
        ("llama", says(rope_scaling={"rope_type": "dynamic", "factor": 2.0}), "scaling 'dynamic'"),
        ("qwen2", says(rope_scaling={"type": "mrope", "mrope_section": [2, 3, 3]}), "'mrope'"),
        ("gemma3", says(rope_scaling=OLD_LINEAR), "without rope_type"),
        ("gemma3", says(NO_ROPE, rope_scaling=rope(full=LINEAR)), "without rope_type"),
        ("gemma3", says(rope_parameters=LINEAR), "one rope_parameters for all layers"),
        ("llama", says(rope_parameters=rope(full=LINEAR)), "by the kind of layer"),
        ("gemma3", says(rope_parameters=rope(sliding=LINEAR)), "in local layers"),
        ("llama", says(rope_parameters={**DEFAULT, "partial_rotary_factor": 0.5}), "partial"),
        ("llama", says(partial_rotary_factor=0.5), "partial"),
        ("llama", says(rope_scaling="linear"), "rope_scaling 'linear'"),
        *((name, other_head, "the output head differs") for name in ("gemma", "gemma2")),
        ("qwen2", smaller_head, r"shape \[440, 64\]"),
        ("qwen2-untied", says(tie_word_embeddings=False, vocab_size=440), r"asks for \[440, 64\]"),
        ("llama", biases("q_proj"), "does not say attention_bias"),
        ("llama", biases("up_proj", attention_bias=True), "does not say mlp_bias"),
        ("qwen2", biases("o_proj", attention_bias=True), "not part of qwen2"),
        ("gemma", says(hidden_act="relu"), "activation 'relu'"),
        ("qwen2", says(is_causal=False), "both directions"),
        ("gemma2", says(sliding_window=None), "sliding_window is missing"),
        ("gemma2", says(final_logit_softcapping=None), "final_logit_softcapping None"),
        ("llama", says(final_logit_softcapping=30.0), "final_logit_softcapping 30.0"),
        ("gemma3", says(("layer_types",), sliding_window_pattern=2), "sliding_window_pattern 2"),
        ("smollm3", says(no_rope_layers=[1, 1, 0, 1, 1]), "another order of layers without rotary"),
        ("smollm3", says(("no_rope_layers",), no_rope_layer_interval=2), "every 4th layer without"),
        ("granite", says(logits_scaling=0), "logits_scaling is '0'"),
        ("olmo2", says(rope_scaling=YARN), "scaling 'yarn'; olmo2 is supported with default or"),
        ("olmo3", says(rope_scaling=LINEAR), "scaling 'linear'"),
        ("olmo3", says(rope_parameters=rope(sliding=YARN)), "in local layers"),
        ("olmo3", says(layer_types=["full_attention"] * 5), "order of sliding and full"),
        ("olmo2", biases("q_proj", attention_bias=True), "not part of olmo2"),
        ("mistral3", says(rope_parameters=DEFAULT), "scaling 'default'"),
        ("mistral3", says(sliding_window=16), "the sliding_window 16"),
        ("phi4-mini", says(rope_parameters={"rope_type": "longrope"}), "long_factor of None"),
        ("phi4-mini", says(rope_parameters={**LONG, "factor": "32"}), "factor is '32'"),
        ("phi4-mini", says(rope_parameters={**LONG, "factor": -3}), "factor is '-3'"),
        ("phi4-mini", says(original_max_position_embeddings=1), "a context of at least 2"),
        ("phi4-mini", says(rope_parameters=YARN), "scaling 'yarn'"),
        ("phi4-mini", says(rope_parameters={**LONG, "partial_rotary_factor": 1.0}), "12 numbers"),
        ("phi4-mini", says(rope_parameters={**LONG, "partial_rotary_factor": 0.3}), "even number"),
        ("phi4-mini", says(rope_parameters=LINEAR), "scaling 'linear'"),
        ("phi3-mini", biases("o_proj"), "not part of phi3"),
        ("qwen2", says(intermediate_size=[160, 160]), "intermediate_size is"),
    ],
)
def test_what_would_be_computed_otherwise_is_refused(
    name: str, change: Change, reason: str, tmp_path: Path
) -> None:
    folder = checkpoint(tmp_path / "it", name, change)
    with pytest.raises(SlmError, match=reason) as caught:
        convert(folder, tmp_path / "out.gguf")
    assert caught.value.code in ("unsupported", "bad_file")
    assert str(folder) in caught.value.message
    assert not (tmp_path / "out.gguf").exists()
