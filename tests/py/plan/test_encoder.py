"""An encoder's shape and memory, against transformers, the core and what `convert` writes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from slmweb.convert import convert
from slmweb.core import Instance, Model
from slmweb.core.vision import Vision
from slmweb.pack.manifest import read_manifest
from slmweb.pack.pack import pack
from slmweb.plan.encoder import Encoder, from_config, from_gguf
from slmweb.plan.memory import contexts, packed_bytes
from slmweb.plan.plan import plan
from slmweb.plan.rates import read_device
from slmweb.plan.shape import read_shape
from slmweb.pull.registry import read_registry
from slmweb.quantize import quantize
from tests.goldens.tiny_pictures import VISIONS, transformers_vision
from tests.py.cli.program import slmweb
from tests.py.convert import checkpoints
from tests.py.models import tiny
from tests.py.vision.encoders import write_encoder

SEEING = {
    key: entry.config
    for key, entry in read_registry().models.items()
    if entry.config is not None and "vision_config" in entry.config
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("seeing")
    model = tiny("gemma3", folder)
    with Model.open(model, weights=False) as opened:
        n_embd = opened.info["n_embd"]
    assert n_embd is not None
    encoder = folder / f"mmproj-{model.name}"
    return model, write_encoder(encoder, projected=n_embd, factor=2)


def bare(encoder: Encoder | None) -> Encoder:
    """Without the order of tensors, and the type of those that `convert` writes otherwise."""
    assert encoder is not None
    tensors = sorted((replace(t, type="") for t in encoder.tensors), key=lambda t: t.name)
    return replace(encoder, tensors=tuple(tensors))


@pytest.mark.parametrize("kind", ["F16", "Q8_0", "F32"])
def test_an_encoder_takes_what_the_core_says(
    files: tuple[Path, Path], tmp_path: Path, kind: str
) -> None:
    model, path = files[0], tmp_path / "mmproj.gguf"
    quantize(files[1], path, type=kind)
    encoder = from_gguf(path)
    assert encoder is not None
    with Model.open(model, weights=False, core=Instance("simd")) as opened:
        opened.layout()
        with Vision(opened, path, lambda done, total: None, weights=False) as vision:
            assert packed_bytes(encoder.tensors) == vision.info["packed_bytes"]
            assert encoder.n_tokens == vision.info["n_tokens"]
            assert encoder.parameters == vision.info["parameters"]
            # The core rounds each array up to 64 bytes.
            assert encoder.encode_bytes() == pytest.approx(vision.encode_bytes, rel=0.01, abs=4096)


def test_a_config_describes_what_a_file_holds(files: tuple[Path, Path]) -> None:
    config = {
        "model_type": "gemma3",
        "mm_tokens_per_image": 4,
        "vision_config": {
            "hidden_size": 64, "intermediate_size": 100, "num_hidden_layers": 2,
            "num_attention_heads": 4, "image_size": 56, "patch_size": 14,
        },
    }  # fmt: skip
    with Model.open(files[0], weights=False) as model:
        n_embd = model.info["n_embd"]
    assert n_embd is not None
    found = from_gguf(files[1])
    assert bare(from_config(config, n_embd)) == bare(found)
    assert found is not None
    assert found.file_bytes == pytest.approx(files[1].stat().st_size, rel=0.02)
    assert from_config({"model_type": "gemma3_text"}, n_embd) is None


@pytest.mark.parametrize("kind", ["F16", "Q8_0"])
def test_an_encoder_of_pictures_that_keep_their_shape(tmp_path: Path, kind: str) -> None:
    tiny_vision = VISIONS["gemma4-pictures"]
    made = transformers_vision(tiny_vision)
    tokenizer = checkpoints.tokenizer_of(tiny_vision.text)
    folder = checkpoints.save(tmp_path / "checkpoint", made, tokenizer)
    out = tmp_path / "seer.gguf"
    file = convert(folder, out, type="f16").vision
    assert file is not None
    if kind == "Q8_0":
        quantize(file, tmp_path / "mmproj-small.gguf", type=kind)
        file = tmp_path / "mmproj-small.gguf"
    encoder = from_gguf(file)
    assert encoder is not None
    with Model.open(out, weights=False, core=Instance("simd")) as opened:
        opened.layout()
        n_embd = opened.info["n_embd"]
        assert n_embd is not None
        with Vision(opened, file, lambda done, total: None, weights=False) as vision:
            assert packed_bytes(encoder.tensors) == vision.info["packed_bytes"]
            assert encoder.n_tokens == vision.info["n_tokens"] == 280
            assert encoder.parameters == vision.info["parameters"]
            assert encoder.whole_picture is vision.info["whole_picture"] is False
            assert encoder.encode_bytes() == pytest.approx(vision.encode_bytes, rel=0.01, abs=4096)
    if kind == "F16":
        config = json.loads((folder / "config.json").read_text())
        assert bare(from_config(config, n_embd)) == bare(encoder)
        assert encoder.file_bytes == pytest.approx(file.stat().st_size, rel=0.05)


@pytest.mark.parametrize("key", SEEING)
def test_a_config_has_the_parameters_that_transformers_gives_its_encoder(key: str) -> None:
    config: Any = SEEING[key]
    made = transformers.AutoConfig.for_model(**json.loads(json.dumps(config)))
    kind: Any = transformers.AutoModelForImageTextToText
    with torch.device("meta"):
        model = kind.from_config(made)
    bounds = [one for one in model.named_buffers() if one[0].endswith(("_min", "_max"))]
    text = ("language_model.", "text_model.", "lm_head.")
    own = {
        name: values.numel()
        for name, values in (*model.named_parameters(), *bounds)
        if not any(part in name for part in text) and ".head." not in name
    }
    encoder = from_config(config, made.get_text_config().hidden_size)
    assert encoder is not None
    assert encoder.parameters == sum(own.values())


def test_a_shape_has_the_encoder_that_lies_beside_the_file(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    shape = read_shape(files[0])
    assert shape.encoder is not None
    assert shape.encoder.n_tokens == 4
    pack([files[0]], tmp_path / "packed", encoder=files[1], chunk_size=20_000)
    assert read_shape(tmp_path / "packed") == shape
    manifest = read_manifest(tmp_path / "packed")
    for mine, theirs in zip(contexts(shape), manifest.memory.contexts, strict=True):
        assert mine.bytes == pytest.approx(theirs.bytes, rel=0.01, abs=4096)
    blind = replace(shape, encoder=None)
    assert shape.file_bytes - blind.file_bytes == shape.encoder.file_bytes


def test_a_session_has_room_for_the_picture(files: tuple[Path, Path]) -> None:
    shape = read_shape(files[0])
    assert shape.encoder is not None
    large = replace(shape, encoder=replace(shape.encoder, factor=1, image_size=14 * 16))
    assert large.n_batch(2048, 128) == 256
    assert shape.n_batch(2048, 128) == 128
    causal = replace(shape, encoder=replace(shape.encoder, projector="gemma4v"))
    assert causal.n_batch(2048, 128) == 128
    whole = replace(shape, encoder=replace(shape.encoder, projector="paligemma"))
    assert whole.n_batch(2048, 128) == 2048


def test_a_plan_tells_what_seeing_takes(files: tuple[Path, Path]) -> None:
    found = plan(str(files[0]), read_device("laptop"))
    seen = found.options[0].pictures
    assert seen is not None
    assert (seen.projector, seen.n_tokens) == ("gemma3", 4)
    assert seen.seconds > 0
    assert found.options[0].fit.needed > seen.encode_bytes + found.options[0].weights_bytes
    kinds = {option.type: option.pictures for option in found.options}
    # The encoder of a quantized model is Q8_0, that of a whole one as it was converted.
    assert kinds["Q4_0"] == kinds["web"]
    assert kinds["F16"] is not None
    assert kinds["Q4_0"] is not None
    assert kinds["F16"].file_bytes > kinds["Q4_0"].file_bytes
    shown = slmweb("plan", str(files[0])).stdout.decode()
    assert "it sees pictures: with" in shown
    assert "each picture takes 4 tokens" in shown
