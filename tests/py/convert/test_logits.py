"""What the core computes from a converted checkpoint against what transformers computes
from the checkpoint, for every family and the variations that its configs have.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import MODEL_ARCH, GGUFReader, get_tensor_name_map
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM

from slmweb.convert import convert
from slmweb.core import Instance, Model
from slmweb.errors import SlmError
from slmweb.quantize import quantize
from tests.goldens.tiny_models import sequence, weights
from tests.parity.logits import F32, assert_close, evaluate
from tests.py.convert import checkpoints

BOUND = 1e-4
MODELS = checkpoints.models()


def core_logits(path: Path, ids: list[int], core: Instance, n_ctx: int = 128) -> F32:
    with Model.open(path, core=core) as model, model.session(n_ctx) as session:
        return evaluate(session, ids)


@pytest.mark.parametrize("name", MODELS)
def test_every_family(name: str, tmp_path: Path, core: Instance) -> None:
    tiny = MODELS[name]
    model = checkpoints.model_of(tiny)
    # Shards of all sizes: the index names some of one tensor.
    folder = checkpoints.save(
        tmp_path / name, model, checkpoints.tokenizer_of(tiny), max_shard_size="100KB"
    )
    assert (folder / "model.safetensors.index.json").exists()
    result = convert(folder, tmp_path / "out.gguf", type="f32")
    assert result.architecture == tiny.arch
    ids = sequence(tiny)
    expected = checkpoints.logits(model, ids)
    assert_close(core_logits(tmp_path / "out.gguf", ids, core), expected, BOUND)


def test_a_context_no_longer_than_the_original_one(tmp_path: Path, core: Instance) -> None:
    """LongRoPE's factors go by the room that a session has; transformers', by the text."""
    tiny = MODELS["phi4-mini"]
    assert tiny.long_rope is not None
    model, n_ctx = checkpoints.model_of(tiny), tiny.long_rope.original_context
    folder = checkpoints.save(tmp_path / "it", model, checkpoints.tokenizer_of(tiny))
    convert(folder, tmp_path / "out.gguf", type="f32")
    ids = sequence(tiny)[:n_ctx]
    expected = checkpoints.logits(model, ids)
    found = core_logits(tmp_path / "out.gguf", ids, core, n_ctx)
    assert_close(found, expected, BOUND)
    longer = core_logits(tmp_path / "out.gguf", ids, core, n_ctx + 1)
    assert np.linalg.norm(longer - found) > 0.1 * np.linalg.norm(found)
    # The scaling's first name, which transformers no longer reads.
    config = json.loads((folder / "config.json").read_text())
    config["rope_scaling"] = {**config.pop("rope_parameters"), "type": "su"}
    del config["rope_scaling"]["rope_type"]
    (folder / "config.json").write_text(json.dumps(config))
    convert(folder, tmp_path / "old.gguf", type="f32", name="it")
    assert (tmp_path / "old.gguf").read_bytes() == (tmp_path / "out.gguf").read_bytes()


@pytest.mark.parametrize(("kind", "dtype"), [("f16", torch.float16), ("bf16", torch.bfloat16)])
def test_rounding_is_that_of_torch(
    kind: str, dtype: torch.dtype, qwen2: Path, tmp_path: Path
) -> None:
    """Bit by bit; vectors stay float32."""
    convert(qwen2, tmp_path / "out.gguf", type=kind)
    state = checkpoints.model_of(MODELS["qwen2-untied"]).state_dict()
    names = get_tensor_name_map(MODEL_ARCH.QWEN2, 2)
    values = {names.get_name(name, (".weight", ".bias")): v for name, v in state.items()}
    tensors = GGUFReader(tmp_path / "out.gguf").tensors
    assert len(tensors) == len(values)
    for tensor in tensors:
        value = values[tensor.name]
        assert tensor.tensor_type.name == (kind.upper() if value.dim() == 2 else "F32")
        expected = value.to(dtype).view(torch.int16) if value.dim() == 2 else value
        found = tensor.data.view(np.int16) if value.dim() == 2 else tensor.data
        np.testing.assert_array_equal(found.reshape(value.shape), expected.numpy())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_checkpoints_of_other_types(dtype: torch.dtype, tmp_path: Path, core: Instance) -> None:
    """What is stored in 16 bits is read exactly; 64 are rounded."""
    tiny = MODELS["llama"]
    stored = checkpoints.model_of(tiny).to(dtype)
    folder = checkpoints.save(tmp_path / "it", stored, checkpoints.tokenizer_of(tiny))
    convert(folder, tmp_path / "out.gguf", type="f32")
    ids = sequence(tiny)
    # Loaded anew, since the conversion above has rounded the rotary frequencies too.
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    expected = checkpoints.logits(model.eval(), ids)
    assert_close(core_logits(tmp_path / "out.gguf", ids, core), expected, BOUND)


def test_the_language_model_of_a_multimodal_gemma3(tmp_path: Path, core: Instance) -> None:
    """As transformers 5 saves it and as the hub has it, with the vision tower beside."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, SiglipVisionConfig

    tiny = MODELS["gemma3"]
    text = checkpoints.model_of(tiny)
    vision = SiglipVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        image_size=28, patch_size=14, vision_use_head=False,
    )  # fmt: skip
    whole: Any = Gemma3ForConditionalGeneration(
        Gemma3Config(
            text_config=text.config.to_dict(), vision_config=vision.to_dict(), mm_tokens_per_image=4
        )
    )
    whole.eval()
    whole.model.language_model.load_state_dict(text.model.state_dict())
    whole.tie_weights()
    folder = checkpoints.save(tmp_path / "it", whole, checkpoints.tokenizer_of(tiny))
    result = convert(folder, tmp_path / "out.gguf", type="f32")
    assert result.vision == tmp_path / "mmproj-out.gguf"
    assert not result.notes
    ids = sequence(tiny)
    expected = checkpoints.logits(text, ids)
    assert_close(core_logits(tmp_path / "out.gguf", ids, core), expected, BOUND)
    # Whether the head is tied is said outside, whatever the language model's part says.
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["text_config"]["tie_word_embeddings"] = False
    path.write_text(json.dumps(config))
    assert_close(
        checkpoints.logits(type(whole).from_pretrained(folder).eval(), ids), expected, 1e-5
    )
    convert(folder, tmp_path / "out.gguf", type="f32")
    assert_close(core_logits(tmp_path / "out.gguf", ids, core), expected, BOUND)
    path.write_text(json.dumps(config | {"quantization_config": {"quant_method": "gptq"}}))
    with pytest.raises(SlmError, match="quantized checkpoint"):
        convert(folder, tmp_path / "out.gguf")


def test_the_language_model_of_a_multimodal_gemma4(tmp_path: Path, core: Instance) -> None:
    """With what sees and hears beside, and with keys and values that the last layers do not use,
    as the hub has it."""
    from transformers import Gemma4Config, Gemma4ForConditionalGeneration

    tiny = MODELS["gemma4-e2b"]
    text = checkpoints.model_of(tiny)
    vision = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8, "global_head_dim": 8,
    }  # fmt: skip
    whole: Any = Gemma4ForConditionalGeneration(
        Gemma4Config(text_config=text.config.to_dict(), vision_config=vision, audio_config=None)
    )
    whole.eval()
    whole.model.language_model.load_state_dict(text.model.state_dict())
    whole.tie_weights()
    folder = checkpoints.save(tmp_path / "it", whole, checkpoints.tokenizer_of(tiny))
    file = folder / "model.safetensors"
    tensors = load_file(file)
    language = "model.language_model.layers"
    for layer in range(5, 10):
        for name, other in (("k_proj", 3), ("v_proj", 3), ("k_norm", 3)):
            tensors[f"{language}.{layer}.self_attn.{name}.weight"] = (
                tensors[f"{language}.{other}.self_attn.{name}.weight"] * 2
            )
    tensors["model.audio_tower.output_proj.weight"] = np.zeros((4, 4), np.float32)
    save_file(tensors, file, {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    # The hub's file has sizes by kind of layer, transformers writes them by layer.
    del config["text_config"]["per_layer_config"]
    config["text_config"]["global_head_dim"] = tiny.global_head_dim
    (folder / "config.json").write_text(json.dumps(config))
    result = convert(folder, tmp_path / "out.gguf", type="f32")
    assert result.vision == tmp_path / "mmproj-out.gguf"
    assert any("what hears is left out" in note for note in result.notes)
    assert result.tensors == len(text.state_dict())  # the head is tied; rope_freqs is made
    ids = sequence(tiny)
    expected = checkpoints.logits(text, ids)
    assert_close(core_logits(tmp_path / "out.gguf", ids, core), expected, BOUND)


def test_the_language_model_of_a_multimodal_gemma3n(tmp_path: Path, core: Instance) -> None:
    """As the hub has it: with what sees and hears beside, a config of transformers 4, and a table
    of the layers' embeddings that ends before the tokens of pictures and sound."""
    tiny = MODELS["gemma3n"]
    text = checkpoints.model_of(tiny)
    folder = checkpoints.save(tmp_path / "it", text, checkpoints.tokenizer_of(tiny))
    path, file = folder / "config.json", folder / "model.safetensors"
    inner = json.loads(path.read_text())
    del inner["tie_word_embeddings"], inner["rope_parameters"]
    n_rows = tiny.n_vocab - 7
    inner |= {
        "rope_theta": tiny.rope_base,
        "rope_local_base_freq": tiny.rope_base_local,
        "rope_scaling": None,
        "vocab_size_per_layer_input": n_rows,
    }
    outer = {"model_type": "gemma3n", "vision_config": {"a": 1}, "audio_config": {"a": 1}}
    path.write_text(json.dumps(outer | {"text_config": inner}))
    tensors = {
        name.replace("model.", "model.language_model.", 1): tensor
        for name, tensor in load_file(file).items()
    }
    table = "model.language_model.embed_tokens_per_layer.weight"
    tensors[table] = tensors[table][:n_rows].copy()
    for name in (
        *("audio_tower.conformer.0.norm.weight", "embed_audio.embedding.weight"),
        *("vision_tower.timm_model.conv_stem.bn.weight", "embed_vision.embedding.weight"),
    ):
        tensors[f"model.{name}"] = np.zeros((4, 4), np.float32)
    save_file(tensors, file, {"format": "pt"})
    result = convert(folder, tmp_path / "out.gguf", type="f32")
    assert any("such as the vision part and what hears" in note for note in result.notes)
    # Three matrices are one, twice; the head is tied.
    assert result.tensors == len(text.state_dict()) - 1 - 4
    ids = [token % n_rows for token in sequence(tiny)]
    expected = checkpoints.logits(text, ids)
    assert_close(core_logits(tmp_path / "out.gguf", ids, core), expected, BOUND)
    by_name = {t.name: t for t in GGUFReader(tmp_path / "out.gguf").tensors}
    assert by_name["altup_proj.weight"].shape.tolist() == [tiny.n_embd, tiny.n_embd, 3]
    assert (by_name["per_layer_token_embd.weight"].data[n_rows:] == 0).all()
    # What mixes the residuals stays as it is, as llama.cpp's converter leaves it.
    convert(folder, tmp_path / "half.gguf", type="f16")
    kinds = {t.name: t.tensor_type.name for t in GGUFReader(tmp_path / "half.gguf").tensors}
    for name, kind in (("predict_coef", "F32"), ("correct_coef", "F32"), ("router", "F16")):
        assert kinds[f"blk.0.altup_{name}.weight"] == kind


@pytest.mark.parametrize("positions", ["rope", None])
def test_granite_by_the_type_of_its_hybrids(
    positions: str | None, tmp_path: Path, core: Instance
) -> None:
    """Attention alone, no experts, and the two matrices of a gated unit in one tensor."""
    from transformers import GraniteMoeHybridConfig, GraniteMoeHybridForCausalLM

    tiny = MODELS["granite"]
    plain = checkpoints.model_of(tiny).config.to_dict()
    config: dict[str, Any] = {
        key: value for key, value in plain.items() if key not in ("model_type", "architectures")
    }
    config |= {"num_local_experts": 0, "layer_types": ["full_attention"] * tiny.n_layer}
    config |= {"shared_intermediate_size": tiny.n_ff, "position_embedding_type": positions}
    whole: Any = GraniteMoeHybridForCausalLM(GraniteMoeHybridConfig(**config))
    whole.eval()
    state = {name: torch.from_numpy(t.values.copy()) for name, t in weights(tiny).items()}
    for name in [name for name in state if ".mlp.gate_proj." in name]:
        gate, up, down = (state.pop(name.replace("gate", part)) for part in ("gate", "up", "down"))
        at = name.split("mlp.")[0] + "shared_mlp."
        state[f"{at}input_linear.weight"] = torch.cat([gate, up])
        state[f"{at}output_linear.weight"] = down
    assert whole.load_state_dict(state, strict=False).unexpected_keys == []
    whole.tie_weights()
    folder = checkpoints.save(tmp_path / "it", whole, checkpoints.tokenizer_of(tiny))
    assert convert(folder, tmp_path / "out.gguf", type="f32").architecture == "granite"
    ids = sequence(tiny)
    expected = checkpoints.logits(whole, ids)
    assert_close(core_logits(tmp_path / "out.gguf", ids, core), expected, BOUND)
    # As the hub has it, which calls the layers by another name.
    path = folder / "config.json"
    saved = json.loads(path.read_text())
    path.write_text(json.dumps(saved | {"layer_types": ["attention"] * tiny.n_layer}))
    convert(folder, tmp_path / "again.gguf", type="f32", name="it")
    assert (tmp_path / "again.gguf").read_bytes() == (tmp_path / "out.gguf").read_bytes()
    path.write_text(json.dumps(saved | {"num_local_experts": 4}))
    with pytest.raises(SlmError, match=r"a mixture of experts of Granite 4.*; use granite4-h-1b"):
        convert(folder, tmp_path / "out.gguf")


def test_the_hybrids_of_granite_as_the_hub_has_them(tmp_path: Path, core: Instance) -> None:
    """Configs of transformers 4, which calls the layers by other names and writes infinities."""
    tiny = MODELS["granitehybrid"]
    model = checkpoints.model_of(tiny)
    folder = checkpoints.save(tmp_path / "it", model, checkpoints.tokenizer_of(tiny))
    convert(folder, tmp_path / "out.gguf", type="f32")
    path = folder / "config.json"
    saved = json.loads(path.read_text())
    kinds = {"linear_attention": "mamba", "full_attention": "attention"}
    saved |= {"layer_types": [kinds[kind] for kind in saved["layer_types"]]}
    path.write_text(json.dumps(saved | {"time_step_limit": [0.0, float("inf")]}))
    convert(folder, tmp_path / "again.gguf", type="f32", name="it")
    assert (tmp_path / "again.gguf").read_bytes() == (tmp_path / "out.gguf").read_bytes()
    # What no product reads stays float32, and is no matrix to `quantize`.
    convert(folder, tmp_path / "half.gguf", type="f16")
    quantize(tmp_path / "half.gguf", tmp_path / "small.gguf", type="Q8_0")
    for file in ("half.gguf", "small.gguf"):
        with Model.open(tmp_path / file, core=core, weights=False) as opened:
            kept = {t["name"]: t["type"] for t in opened.info["tensors"] if ".ssm_" in t["name"]}
        matrices = {name for name, kind in kept.items() if kind != "F32"}
        assert matrices == {
            f"blk.{i}.ssm_{part}.weight" for i in (0, 1, 3, 4) for part in ("in", "out")
        }


def test_configs_of_transformers_4(tmp_path: Path, core: Instance) -> None:
    """Rotary parameters lay outside then, and Gemma 3's windows were a number."""
    tiny = MODELS["gemma3-scale"]
    model = checkpoints.model_of(tiny)
    folder = checkpoints.save(tmp_path / "it", model, checkpoints.tokenizer_of(tiny))
    path = folder / "config.json"
    config = json.loads(path.read_text())
    both = config.pop("rope_parameters")
    del config["layer_types"]
    config |= {
        "rope_theta": both["full_attention"]["rope_theta"],
        "rope_local_base_freq": both["sliding_attention"]["rope_theta"],
        "rope_scaling": {"rope_type": "linear", "factor": both["full_attention"]["factor"]},
        "sliding_window_pattern": 6,
    }
    path.write_text(json.dumps(config))
    convert(folder, tmp_path / "out.gguf", type="f32")
    ids = sequence(tiny)
    expected = checkpoints.logits(model, ids)
    assert_close(core_logits(tmp_path / "out.gguf", ids, core), expected, BOUND)


def test_the_language_model_of_a_multimodal_qwen35(tmp_path: Path, core: Instance) -> None:
    """With its vision tower and a layer that guesses tokens ahead beside it."""
    tiny = MODELS["qwen35"]
    text = checkpoints.model_of(tiny)
    folder = checkpoints.save(tmp_path / "it", text, checkpoints.tokenizer_of(tiny))
    path = folder / "config.json"
    inner = json.loads(path.read_text())
    tied = inner.pop("tie_word_embeddings")
    outer = {"model_type": "qwen3_5", "text_config": inner, "vision_config": {"depth": 1}}
    path.write_text(json.dumps(outer | {"tie_word_embeddings": tied}))
    state = {
        name.replace("model.", "model.language_model.", 1): tensor
        for name, tensor in load_file(folder / "model.safetensors").items()
    }
    state["model.visual.blocks.0.norm1.weight"] = np.ones(4, np.float32)
    state["mtp.layers.0.input_layernorm.weight"] = np.ones(64, np.float32)
    state["mtp.fc.weight"] = np.ones((64, 128), np.float32)
    save_file(state, folder / "model.safetensors")
    result = convert(folder, tmp_path / "out.gguf", type="f32")
    assert any("vision" in note for note in result.notes)
    ids = sequence(tiny)
    found = core_logits(tmp_path / "out.gguf", ids, core)
    assert_close(found, checkpoints.logits(text, ids), BOUND)


def test_the_first_configs_of_lfm2(tmp_path: Path, core: Instance) -> None:
    """Which layers attend was a list of their numbers, and other names went before today's."""
    tiny = MODELS["lfm2"]
    model = checkpoints.model_of(tiny)
    folder = checkpoints.save(tmp_path / "it", model, checkpoints.tokenizer_of(tiny))
    path = folder / "config.json"
    config = json.loads(path.read_text())
    kinds = config.pop("layer_types")
    config |= {
        "full_attn_idxs": [i for i, kind in enumerate(kinds) if kind == "full_attention"],
        "block_ff_dim": config["intermediate_size"],
        "intermediate_size": 999,
        "tie_embedding": True,
        "tie_word_embeddings": False,
        "rope_theta": config.pop("rope_parameters")["rope_theta"],
    }
    path.write_text(json.dumps(config))
    ids = sequence(tiny)
    expected = checkpoints.logits(model, ids)
    again: Any = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    assert_close(checkpoints.logits(again.float().eval(), ids), expected, 1e-5)
    convert(folder, tmp_path / "out.gguf", type="f32")
    assert_close(core_logits(tmp_path / "out.gguf", ids, core), expected, BOUND)


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("gemma3", {"layer_types": ["full_attention"] * 7}, "order of sliding and full"),
        ("gemma3", {"use_bidirectional_attention": True}, "of a model that embeds texts"),
        ("gemma2", {"attn_logit_softcapping": None}, "attn_logit_softcapping None"),
        ("gemma2", {"hidden_activation": "relu"}, "activation 'relu'"),
        ("llama", {"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "scaling 'yarn'"),
        ("qwen2", {"use_sliding_window": True}, "sliding windows"),
        ("qwen2", {"quantization_config": {"bits": 4}}, "quantized checkpoint"),
    ],
)
def test_what_would_be_computed_otherwise_is_refused(
    name: str, change: dict[str, object], reason: str, tmp_path: Path
) -> None:
    folder = checkpoints.save(tmp_path / "it", checkpoints.model_of(MODELS[name]))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(SlmError, match=reason) as caught:
        convert(folder, tmp_path / "out.gguf")
    assert caught.value.code == "unsupported"
    assert "config.json" in caught.value.message
    assert not (tmp_path / "out.gguf").exists()


def test_the_same_checkpoint_gives_the_same_bytes(qwen2: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(qwen2, tmp_path / "elsewhere" / "tiny-qwen2"))
    convert(qwen2, tmp_path / "a.gguf")
    convert(other, tmp_path / "b.gguf")
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


def test_blocks_of_rows_change_nothing(
    qwen2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block boundary inside every matrix, and progress that counts every byte."""
    convert(qwen2, tmp_path / "whole.gguf")
    monkeypatch.setattr("slmweb.convert.safetensors.BLOCK_BYTES", 3000)
    seen: list[tuple[int, int]] = []
    convert(
        qwen2, tmp_path / "pieces.gguf", progress=lambda done, total: seen.append((done, total))
    )
    assert (tmp_path / "whole.gguf").read_bytes() == (tmp_path / "pieces.gguf").read_bytes()
    done = np.array([d for d, _ in seen])
    assert len(seen) > 100
    assert (np.diff(done) > 0).all()
    assert seen[-1][0] == seen[-1][1]
