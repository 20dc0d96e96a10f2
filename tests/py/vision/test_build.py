"""From a checkpoint that sees to a site: both parts are converted, quantized and packed."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from slmweb.bundle.build import build
from slmweb.core import Model
from slmweb.errors import SlmError
from slmweb.pack.manifest import read_manifest
from slmweb.pack.pack import verify
from tests.goldens import tiny_pictures
from tests.goldens.tiny_pictures import VISIONS
from tests.py.convert import checkpoints

# The function of this name hides the module.
convert_module = import_module("slmweb.convert.convert")

# Rows of whole blocks, but for those of ffn_down.
TINY = replace(VISIONS["smolvlm"], name="smolvlm-wide", n_embd=128)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny-smolvlm"
    tokenizer = checkpoints.tokenizer_of(TINY.text)
    return checkpoints.save(folder, tiny_pictures.transformers_vision(TINY), tokenizer)


@pytest.mark.parametrize("kind", [None, "f16"])
def test_a_checkpoint_that_sees_becomes_a_site_that_sees(
    checkpoint: Path, tmp_path: Path, kind: str | None
) -> None:
    built = build(checkpoint, tmp_path / "site", type=kind)
    (manifest,) = built.bundle.models
    assert manifest.vision is not None
    assert manifest.vision.projector == "idefics3"
    assert manifest.vision.n_tokens == TINY.n_tokens
    packed = tmp_path / "site/models" / manifest.name
    assert verify(packed) == read_manifest(packed) == manifest
    with Model.open(packed) as model, model.load_vision(packed) as vision:
        types = set(vision.info["types"])
    assert types == ({"F32", "F16"} if kind else {"F32", "F16", "Q8_0"})
    assert built.notes == ()


def test_a_file_is_quantized_with_its_encoder(checkpoint: Path, tmp_path: Path) -> None:
    from slmweb.convert import convert

    converted = convert(checkpoint, tmp_path / "cat-f16.gguf")
    assert converted.vision == tmp_path / "mmproj-cat-f16.gguf"
    (manifest,) = build(tmp_path / "cat-f16.gguf", tmp_path / "site", type="q8_0").bundle.models
    assert manifest.vision is not None
    names = [file.name for file in manifest.files]
    assert names == ["cat-q8_0.gguf", "mmproj-cat.gguf"]
    # As it is, with what lies there as it is.
    (same,) = build(tmp_path / "cat-f16.gguf", tmp_path / "same").bundle.models
    assert [file.name for file in same.files] == ["cat-f16.gguf", "mmproj-cat-f16.gguf"]
    # Who quantized the encoder already gets that one.
    converted.vision.write_bytes(b"GGUF, but no encoder")
    with pytest.raises(SlmError, match=r"mmproj-cat-f16\.gguf"):
        build(tmp_path / "cat-f16.gguf", tmp_path / "broken", type="q8_0")


def test_neither_half_stands_beside_another_ones_other_half(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.gguf"
    written = convert_module.write_gguf

    def full(path: Path, *rest: object) -> object:
        if path == out:
            raise SlmError("unwritable", "the disk is full")
        return written(path, *rest)

    monkeypatch.setattr(convert_module, "write_gguf", full)
    with pytest.raises(SlmError, match="the disk is full"):
        convert_module.convert(checkpoint, out)
    assert list(tmp_path.iterdir()) == []
    out.mkdir()
    with pytest.raises(SlmError, match="it is no file"):
        convert_module.convert(checkpoint, out)
    assert list(tmp_path.iterdir()) == [out]
