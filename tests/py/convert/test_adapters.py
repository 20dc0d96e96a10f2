"""Adapters of peft, merged while converting, against peft's own merge and the logits of
the adapted model; and adapters alone, in llama.cpp's form.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from gguf import GGUFReader
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM

from slmweb.convert import convert, convert_adapter
from slmweb.core import Instance, Model
from slmweb.errors import SlmError
from tests.goldens.tiny_models import sequence
from tests.parity.logits import assert_close, evaluate
from tests.py.convert import checkpoints
from tests.py.convert.test_logits import core_logits

# peft says that embeddings are saved along, that fan_in_fan_out is set right, and
# uses what transformers has renamed.
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

BOUND = 1e-4
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# What else Gemma 4 has between its matrices.
GEMMA4 = [
    *LINEAR,
    *("per_layer_input_gate", "per_layer_projection", "per_layer_model_projection"),
]
# What Gemma 3n has besides; of the matrices that a GGUF has in one tensor, the middle one.
GEMMA3N = [
    *GEMMA4,
    *("linear_left", "linear_right", "modality_router", "prediction_coefs", "correction_coefs"),
]
STACKED = ["altup_projections.1", "altup_unembed_projections.2"]
MODELS = checkpoints.models()
N_VOCAB = checkpoints.N_VOCAB


@cache
def base(name: str, root: Path) -> Path:
    tiny = MODELS[name]
    return checkpoints.save(root / name, checkpoints.model_of(tiny), checkpoints.tokenizer_of(tiny))


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("bases")
    return lambda name: base(name, root)


def settings(**options: Any) -> peft.LoraConfig:
    return peft.LoraConfig(**{"r": 4, "lora_alpha": 6, "target_modules": LINEAR, **options})


def adapted(name: str, config: peft.LoraConfig, seed: int = 0) -> Any:
    """The tiny model under an adapter with random matrices, as after training."""
    model: Any = peft.get_peft_model(checkpoints.model_of(MODELS[name]), config).eval()
    randomize(model, "default", seed)
    return model


def randomize(model: Any, adapter: str, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, value in model.named_parameters():
            if f".{adapter}" not in key:
                continue
            noise = torch.randn(value.shape, generator=generator)
            if "magnitude" in key:
                value.mul_(1 + 0.3 * noise)
            elif "lora_" in key:
                value.copy_(noise * 0.15)
            else:  # a module trained whole
                value.add_(noise * 0.1)


def save(model: Any, folder: Path, **options: Any) -> Path:
    model.save_pretrained(folder, **options)
    return folder


def merged_logits(model: Any, ids: list[int]) -> checkpoints.F32:
    return checkpoints.logits(model.merge_and_unload(), ids)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("llama-gqa", {}),
        ("gemma2-scale", {}),
        ("gemma3", {"use_rslora": True}),
        ("gemma4-e2b", {"target_modules": GEMMA4}),
        ("gemma3n", {"target_modules": [*GEMMA3N, *STACKED]}),
        ("qwen2", {"use_dora": True}),
        ("llama", {"use_dora": True, "use_rslora": True}),
        ("qwen3", {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"layers.1.mlp.up_proj": 11}}),
        ("phi4-mini", {"target_modules": ["qkv_proj", "o_proj", "gate_up_proj"]}),
        ("qwen2-untied", {"target_modules": ["q_proj", "lm_head", "embed_tokens"]}),
        ("qwen2-untied", {"modules_to_save": ["lm_head", "embed_tokens"]}),
        ("qwen2", {"bias": "all", "target_modules": ["q_proj", "v_proj"]}),
        ("gemma", {"fan_in_fan_out": True, "target_modules": ["down_proj"]}),
        ("llama", {"layers_to_transform": [1], "target_modules": ["k_proj"], "r": 1}),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(value) or "plain",
)
def test_merged_as_peft_merges(
    name: str,
    options: dict[str, Any],
    bases: Callable[[str], Path],
    tmp_path: Path,
    core: Instance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Blocks of a few rows, so that what is merged depends on where a block begins.
    monkeypatch.setattr("slmweb.convert.safetensors.BLOCK_BYTES", 4000)
    model = adapted(name, settings(**options))
    folder = save(model, tmp_path / "adapter")
    convert(bases(name), tmp_path / "out.gguf", type="f32", adapters=[(folder, 1.0)])
    ids = sequence(MODELS[name])
    plain = checkpoints.logits(checkpoints.model_of(MODELS[name]), ids)
    expected = merged_logits(model, ids)
    assert np.linalg.norm(plain - expected) > 0.05 * np.linalg.norm(expected), "too faint a test"
    assert_close(core_logits(tmp_path / "out.gguf", ids, core), expected, BOUND)


@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name.replace("base_model.model.model.", "base_model.model."),
        lambda name: name.replace("base_model.model.", "base_model.model._orig_mod."),
    ],
    ids=["bare", "compiled"],
)
def test_adapters_of_a_wrapped_model(
    rename: Callable[[str], str], bases: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = save(adapted("qwen2", settings()), tmp_path / "adapter")
    convert(bases("qwen2"), tmp_path / "a.gguf", adapters=[(folder, 1.0)])
    path = folder / "adapter_model.safetensors"
    save_file({rename(name): tensor for name, tensor in load_file(path).items()}, path)
    convert(bases("qwen2"), tmp_path / "b.gguf", adapters=[(folder, 1.0)])
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


def test_two_weighted_adapters_are_a_sum(
    bases: Callable[[str], Path], tmp_path: Path, core: Instance
) -> None:
    """peft calls it "cat"; its "linear" mixes A and B apart, which is no sum of adapters."""
    model = adapted("llama", settings())
    model.add_adapter("other", settings(r=3, use_rslora=True, target_modules=["q_proj", "up_proj"]))
    randomize(model, "other", 1)
    save(model, tmp_path / "both")
    convert(
        bases("llama"),
        tmp_path / "out.gguf",
        type="f32",
        adapters=[(tmp_path / "both", 0.7), (tmp_path / "both" / "other", -0.4)],
    )
    model.add_weighted_adapter(["default", "other"], [0.7, -0.4], "sum", combination_type="cat")
    model.set_adapter("sum")
    ids = sequence(MODELS["llama"])
    assert_close(core_logits(tmp_path / "out.gguf", ids, core), merged_logits(model, ids), BOUND)


def test_a_tied_head_stays_as_it_was_trained(
    bases: Callable[[str], Path], tmp_path: Path, core: Instance
) -> None:
    """The head of the adapted model is not adapted when the embeddings are. peft's merge
    would change both, being one tensor; what was trained is what counts."""
    model = adapted("qwen2", settings(target_modules=["embed_tokens", "v_proj"]))
    folder = save(model, tmp_path / "adapter", save_embedding_layers=False)
    convert(bases("qwen2"), tmp_path / "out.gguf", type="f32", adapters=[(folder, 1.0)])
    assert "output.weight" in {t.name for t in GGUFReader(tmp_path / "out.gguf").tensors}
    ids = sequence(MODELS["qwen2"])
    assert_close(
        core_logits(tmp_path / "out.gguf", ids, core), checkpoints.logits(model, ids), BOUND
    )


def trained(name: str, base: Path, folder: Path, n_vocab: int | None, **options: Any) -> Any:
    """A model under an adapter as a training library leaves it, saved to `folder`; with the
    vocabulary resized to `n_vocab` first."""
    auto: Any = AutoModelForCausalLM
    model = auto.from_pretrained(base, attn_implementation="eager")
    if n_vocab is not None:
        model.resize_token_embeddings(n_vocab)
    wrapped: Any = peft.get_peft_model(model, settings(**{"r": 2, **options})).eval()
    randomize(wrapped, "default", 0)
    save(wrapped, folder)
    return wrapped


BOTH = ["embed_tokens", "lm_head"]


@pytest.mark.parametrize("name", ["qwen2", "qwen2-untied", "gemma2", "gemma3"])
@pytest.mark.parametrize(
    ("resizes", "options"),
    [
        (True, {}),
        (True, {"modules_to_save": BOTH}),
        (True, {"modules_to_save": ["embed_tokens"]}),
        (True, {"target_modules": ["q_proj", "lm_head"]}),
        (True, {"target_modules": ["q_proj", *BOTH]}),
        (False, {"target_modules": ["q_proj", *BOTH]}),
        (False, {"trainable_token_indices": [3, 7]}),
        (False, {"trainable_token_indices": {"embed_tokens": [3, 7], "lm_head": [4]}}),
        (True, {"trainable_token_indices": [3, N_VOCAB]}),
        (True, {"trainable_token_indices": {"embed_tokens": [N_VOCAB]}}),
        (False, {"target_modules": ["embed_tokens"], "ensure_weight_tying": True}),
        (False, {"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True}),
    ],
    ids=lambda value: str(value) if isinstance(value, bool) else ",".join(value) or "plain",
)
def test_embeddings_and_head_as_they_were_trained(
    name: str,
    resizes: bool,
    options: dict[str, Any],
    bases: Callable[[str], Path],
    tmp_path: Path,
    core: Instance,
) -> None:
    """Resized by a token, trained whole, by rank, by token, with copies of the base that
    peft saves along; tied or not. What cannot be written is refused."""
    options = {"target_modules": ["q_proj"], **options}
    folder = tmp_path / "adapter"
    model = trained(name, bases(name), folder, N_VOCAB + 1 if resizes else None, **options)
    targets = set(options["target_modules"]) | set(options.get("modules_to_save", ()))
    tokens = options.get("trainable_token_indices")
    # Tied, but trained apart.
    apart = bool(targets & set(BOTH)) and not options.get("ensure_weight_tying")
    reason = None
    if name == "gemma2" and (apart or (isinstance(tokens, dict) and "lm_head" in tokens)):
        reason = "parts the output head from the embeddings"
    elif name == "qwen2-untied" and resizes and "lm_head" in options["target_modules"]:
        reason = None if "embed_tokens" in options["target_modules"] else "holds only"
    if reason is not None:
        with pytest.raises(SlmError, match=reason):
            convert(bases(name), tmp_path / "out.gguf", adapters=[(folder, 1.0)])
        return
    convert(bases(name), tmp_path / "out.gguf", type="f32", adapters=[(folder, 1.0)])
    ids = sequence(MODELS[name])
    ids = [*ids[:20], N_VOCAB, *ids[20:]] if resizes else ids
    expected = checkpoints.logits(model, ids)
    assert_close(core_logits(tmp_path / "out.gguf", ids, core), expected, BOUND)


def test_what_training_saved_beside_the_adapter_wins(
    bases: Callable[[str], Path], tmp_path: Path
) -> None:
    """Its chat template, its tokenizer with a token more, its generation config; a base
    without a template was trained to chat by the adapter."""
    folder = tmp_path / "adapter"
    trained("qwen2", bases("qwen2"), folder, N_VOCAB + 1, target_modules=["q_proj"])
    tokenizer = checkpoints.tokenizer_of(MODELS["qwen2"])
    filler = [f"<more{i}>" for i in range(len(tokenizer), N_VOCAB)]
    tokenizer.add_tokens([*filler, "<turn>"], special_tokens=True)
    tokenizer.chat_template = "{{ messages[0]['content'] }}<turn>"
    tokenizer.save_pretrained(folder)
    (folder / "generation_config.json").write_text(
        json.dumps({"eos_token_id": [1, N_VOCAB], "temperature": 0.25})
    )
    result = convert(bases("qwen2"), tmp_path / "out.gguf", adapters=[(folder, 1.0)])
    assert f"the chat template is that of {folder}" in result.notes
    fields = GGUFReader(tmp_path / "out.gguf").fields
    assert fields["tokenizer.chat_template"].contents() == tokenizer.chat_template
    assert fields["tokenizer.ggml.tokens"].contents()[N_VOCAB] == "<turn>"
    assert fields["general.sampling.temp"].contents() == 0.25
    ends = {
        key: f.contents()
        for key, f in fields.items()
        if key.endswith(("eot_token_id", "eom_token_id"))
    }
    assert N_VOCAB in ends.values()
    # Alone it cannot take its template along, which is said.
    alone = convert_adapter(
        save(adapted("qwen2", settings(r=1)), folder), tmp_path / "a.gguf", base=bases("qwen2")
    )
    assert any("chat template" in note for note in alone.notes)


def test_16_bit_bases_are_merged_before_rounding(
    bases: Callable[[str], Path], tmp_path: Path
) -> None:
    """F16 output is the merged float32 value rounded once."""
    folder = save(adapted("qwen3", settings()), tmp_path / "adapter")
    for kind in ("f32", "f16"):
        convert(bases("qwen3"), tmp_path / kind, type=kind, adapters=[(folder, 1.0)])
    exact, half = (GGUFReader(tmp_path / kind).tensors for kind in ("f32", "f16"))
    for a, b in zip(exact, half, strict=True):
        expected = a.data.astype(np.float16) if len(a.shape) == 2 else a.data
        np.testing.assert_array_equal(b.data, expected)


def products(path: Path) -> dict[str, tuple[checkpoints.F32, float]]:
    """Of every matrix of a GGUF adapter, what llama.cpp adds: B A, times alpha / rank."""
    reader = GGUFReader(path)
    alpha = reader.fields["adapter.lora.alpha"].contents()
    data = {tensor.name: np.array(tensor.data, np.float32) for tensor in reader.tensors}
    deltas = {}
    for name, a in data.items():
        if name.endswith(".lora_a"):
            target = name.removesuffix(".lora_a")
            deltas[target] = (data[f"{target}.lora_b"] @ a, alpha / a.shape[0])
    assert 2 * len(deltas) == len(data)
    return deltas


def test_one_of_several_matrices_in_one_tensor(
    bases: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = save(adapted("gemma3n", settings(target_modules=STACKED)), tmp_path / "adapter")
    with pytest.raises(SlmError, match=r"in one tensor with others.* merge it with --adapter"):
        convert_adapter(folder, tmp_path / "adapter.gguf", base=bases("gemma3n"))


@pytest.mark.parametrize(
    ("name", "options", "weight"),
    [
        ("llama-gqa", {}, 1.0),
        ("gemma2-scale", {"use_rslora": True}, 1.0),
        ("gemma4-e2b", {"target_modules": GEMMA4}, 1.0),
        ("gemma3n", {"target_modules": GEMMA3N}, 1.0),
        ("qwen3", {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"up_proj": 11}}, 0.5),
    ],
    ids=["plain", "rslora", "gemma4", "gemma3n", "patterns"],
)
def test_an_adapter_alone_adds_what_merging_adds(
    name: str,
    options: dict[str, Any],
    weight: float,
    bases: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    """The difference of the merged and the plain GGUF, tensor by tensor."""
    folder = save(adapted(name, settings(**options)), tmp_path / "adapter")
    convert(bases(name), tmp_path / "plain.gguf", type="f32")
    convert(bases(name), tmp_path / "merged.gguf", type="f32", adapters=[(folder, weight)])
    result = convert_adapter(
        folder, tmp_path / "adapter.gguf", base=bases(name), type="f32", weight=weight
    )
    reader = GGUFReader(tmp_path / "adapter.gguf")
    facts = {
        key: reader.fields[key].contents()
        for key in ("general.type", "general.architecture", "adapter.type")
    }
    assert list(facts.values()) == ["adapter", MODELS[name].arch, "lora"]
    trained = load_file(folder / "adapter_model.safetensors")
    assert result.tensors == len(reader.tensors) == len(trained) >= 2 * 6 * MODELS[name].n_layer
    deltas = products(tmp_path / "adapter.gguf")
    plain, merged = (
        {t.name: t.data for t in GGUFReader(tmp_path / f"{kind}.gguf").tensors}
        for kind in ("plain", "merged")
    )
    for target, values in plain.items():
        product, scale = deltas.get(target, (np.zeros_like(values), 1.0))
        np.testing.assert_allclose(merged[target], values + scale * product, atol=2e-6)


@pytest.mark.parametrize("n_batch", [1, 128])
@pytest.mark.parametrize("targets", [["embed_tokens"], ["lm_head", "q_proj"], BOTH], ids=",".join)
@pytest.mark.parametrize("name", ["llama-gqa", "qwen2-untied", "gemma2", "gemma3"])
def test_embeddings_and_head_beside_a_base(
    name: str,
    targets: list[str],
    n_batch: int,
    bases: Callable[[str], Path],
    tmp_path: Path,
    core: Instance,
) -> None:
    """At run time each of the two is adapted alone, even where they are one matrix. The copies
    of the base that peft saves along are no change."""
    folder = tmp_path / "adapter"
    model = trained(name, bases(name), folder, None, target_modules=targets, use_rslora=True)
    convert(bases(name), tmp_path / "base.gguf", type="f32")
    convert_adapter(folder, tmp_path / "adapter.gguf", base=bases(name), type="f32")
    ids = sequence(MODELS[name])
    plain = checkpoints.logits(checkpoints.model_of(MODELS[name]), ids)
    expected = checkpoints.logits(model, ids)
    assert np.linalg.norm(plain - expected) > 0.02 * np.linalg.norm(expected), "too faint a test"
    with Model.open(tmp_path / "base.gguf", core=core) as base:
        adapter = base.load_adapter(tmp_path / "adapter.gguf")
        with base.session(128, n_batch=n_batch) as session:
            for used, logits in (([], plain), ([(adapter, 1.0)], expected), ([], plain)):
                session.adapters(used)
                session.reuse([])
                assert_close(evaluate(session, ids), logits, BOUND)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "trained whole"),
        ({"trainable_token_indices": [3]}, "single tokens"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_what_no_adapter_can_express(
    options: dict[str, Any], reason: str, bases: Callable[[str], Path], tmp_path: Path
) -> None:
    model = adapted("qwen2", settings(**options))
    folder = save(model, tmp_path / "adapter", save_embedding_layers=False)
    with pytest.raises(SlmError, match=reason) as caught:
        convert_adapter(folder, tmp_path / "out.gguf", base=bases("qwen2"))
    assert caught.value.code == "unsupported"
    assert "--adapter" in caught.value.message
    assert not (tmp_path / "out.gguf").exists()


def test_an_untied_head_is_refused_where_gemma_has_none(
    bases: Callable[[str], Path], tmp_path: Path
) -> None:
    model = adapted("gemma2", settings(modules_to_save=["embed_tokens"]))
    folder = save(model, tmp_path / "adapter")
    with pytest.raises(SlmError, match="parts the output head from the embeddings"):
        convert(bases("gemma2"), tmp_path / "out.gguf", adapters=[(folder, 1.0)])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"peft_type": "IA3"}, "peft_type 'IA3'"),
        ({"init_lora_weights": "pissa"}, "'pissa', which changes the base"),
        ({"lora_bias": True}, "lora_bias True"),
        ({"trainable_token_indices": [1]}, "has no rows for the trainable_token_indices"),
        ({"lora_alpha": "much"}, "lora_alpha is 'much'"),
        ({"alpha_pattern": {"(": 1}}, "is no pattern"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_variants_that_mean_something_else(
    change: dict[str, Any], reason: str, bases: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = save(adapted("qwen2", settings(r=1)), tmp_path / "adapter")
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(SlmError) as caught:
        convert(bases("qwen2"), tmp_path / "out.gguf", adapters=[(folder, 1.0)])
    assert reason in caught.value.message
    assert "adapter_config.json" in caught.value.message
    assert not (tmp_path / "out.gguf").exists()


@pytest.mark.parametrize(
    ("other", "reason"),
    [("qwen2-untied", None), ("qwen3", "in the base it is"), ("gemma3", "has not")],
)
def test_adapters_of_another_base(
    other: str, reason: str | None, bases: Callable[[str], Path], tmp_path: Path
) -> None:
    """Other shapes and layers are refused; a base of another name is only remarked on."""
    last = MODELS[other].n_layer - 1
    model = adapted(other, settings(target_modules=["q_proj"], layers_to_transform=[last]))
    model.peft_config["default"].base_model_name_or_path = "somebody/another-model"
    folder = save(model, tmp_path / "adapter", save_embedding_layers=False)
    if reason is None:
        result = convert(bases("qwen2"), tmp_path / "out.gguf", adapters=[(folder, 1.0)])
        assert any("somebody/another-model" in note for note in result.notes)
        return
    with pytest.raises(SlmError, match=reason) as caught:
        convert(bases("qwen2"), tmp_path / "out.gguf", adapters=[(folder, 1.0)])
    assert caught.value.code == "bad_file"
    assert "adapter_model.safetensors" in caught.value.message
    assert not (tmp_path / "out.gguf").exists()


def test_folders_that_are_no_adapter(bases: Callable[[str], Path], tmp_path: Path) -> None:
    folder = save(adapted("qwen2", settings(r=1)), tmp_path / "adapter")
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(SlmError, match=r"adapter_model\.bin is a pickle"):
        convert(bases("qwen2"), tmp_path / "out.gguf", adapters=[(folder, 1.0)])
    with pytest.raises(SlmError, match=r"adapter_config\.json is missing"):
        convert(bases("qwen2"), tmp_path / "out.gguf", adapters=[(bases("qwen2"), 1.0)])
