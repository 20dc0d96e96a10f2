"""Which encoder is a model's, what its header says, and its quantizing."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from slmweb.bundle.bundle import bundle
from slmweb.errors import SlmError
from slmweb.plan.shape import read_shape
from slmweb.quantize import Override, quantize
from slmweb.quantize.choice import tensor_type
from slmweb.quantize.container import read_tensors
from slmweb.vision.encoder_file import encoder_beside, is_encoder, is_encoder_name
from tests.py.quantize.files import metadata, types, values
from tests.py.vision.encoders import write_encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoder") / "mmproj-tiny-f16.gguf")


@pytest.mark.parametrize(
    ("model", "others", "found"),
    [
        ("cat.gguf", ["mmproj-cat.gguf"], "mmproj-cat.gguf"),
        ("cat-Q4_K_M.gguf", ["mmproj-cat-f16.gguf", "dog.gguf"], "mmproj-cat-f16.gguf"),
        ("cat.web.gguf", ["mmproj-cat.BF16.gguf", "mmproj-dog.gguf"], "mmproj-cat.BF16.gguf"),
        ("cat-UD-Q4_K_XL.gguf", ["mmproj-F16.gguf"], "mmproj-F16.gguf"),
        ("cat-f16-web.gguf", ["mmproj-model-f16.gguf", "cat-q8_0.gguf"], "mmproj-model-f16.gguf"),
        ("cat-00001-of-00002.gguf", ["cat-00002-of-00002.gguf", "mmproj-cat.gguf"],
         "mmproj-cat.gguf"),
        ("cat.gguf", ["mmproj-model-f16.gguf", "dog.gguf"], None),
        ("cat.gguf", ["mmproj-dog.gguf"], None),
        ("cat.gguf", ["mmproj-catfish.gguf", "cat.txt"], None),
        ("mmproj-cat.gguf", ["cat.gguf"], None),
        ("cat.gguf", [], None),
    ],
)  # fmt: skip
def test_the_encoder_beside_a_model_is_found_by_its_name(
    tmp_path: Path, model: str, others: list[str], found: str | None
) -> None:
    for name in (model, *others):
        (tmp_path / name).write_bytes(b"GGUF")
    beside = encoder_beside(tmp_path / model)
    assert (None if beside is None else beside.name) == found


def test_of_several_encoders_the_smallest_is_taken(tmp_path: Path) -> None:
    (tmp_path / "cat.gguf").touch()
    (tmp_path / "mmproj-cat-f32.gguf").write_bytes(bytes(9))
    (tmp_path / "mmproj-cat-q8_0.gguf").write_bytes(bytes(3))
    assert encoder_beside(tmp_path / "cat.gguf") == tmp_path / "mmproj-cat-q8_0.gguf"


def test_an_encoder_is_known_by_its_architecture(encoder: Path, gemma3: Path) -> None:
    assert is_encoder(encoder)
    assert not is_encoder(gemma3)
    assert not is_encoder(encoder.with_name("none.gguf"))
    assert is_encoder_name("mmproj-x.gguf")
    assert not is_encoder_name("not-mmproj-x.gguf")


def test_tensors_are_read_as_the_gguf_library_reads_them(encoder: Path) -> None:
    reader = gguf.GGUFReader(encoder)
    found = read_tensors(encoder)
    assert len(found) == len(reader.tensors) > 0
    for mine, theirs in zip(found, reader.tensors, strict=True):
        assert mine["name"] == theirs.name
        assert mine["shape"] == theirs.shape.tolist()
        assert (mine["type"], mine["offset"]) == (theirs.tensor_type.name, theirs.data_offset)
        assert mine["size"] == theirs.n_bytes


def test_a_header_that_is_cut_anywhere_is_refused_in_a_sentence(
    encoder: Path, tmp_path: Path
) -> None:
    data = encoder.read_bytes()
    first = min(tensor["offset"] for tensor in read_tensors(encoder))
    cut = tmp_path / "mmproj-cut.gguf"
    for end in [*range(0, first, 7), first, len(data) - 33]:
        cut.write_bytes(data[:end])
        with pytest.raises(SlmError) as caught:
            read_tensors(cut)
        assert caught.value.code in ("bad_file", "unreadable"), end
        assert str(cut) in caught.value.message


def test_a_damaged_header_is_refused_or_read(encoder: Path, tmp_path: Path) -> None:
    data = encoder.read_bytes()
    first = min(tensor["offset"] for tensor in read_tensors(encoder))
    damaged = tmp_path / "mmproj-damaged.gguf"
    rng = np.random.default_rng(3)
    for _ in range(300):
        changed = bytearray(data)
        for at in rng.integers(8, first, 3):
            changed[at] = rng.integers(256)
        damaged.write_bytes(changed)
        try:
            tensors = read_tensors(damaged)
        except SlmError:
            continue
        assert all(tensor["offset"] + tensor["size"] <= len(data) for tensor in tensors)


def test_quantizing_leaves_patches_positions_and_the_projection(
    encoder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mmproj-out.gguf"
    done = quantize(encoder, out, type="web")
    assert done.mix is None
    before, after = types(encoder), types(out)
    for name, kind in after.items():
        if ".blk." in name and name.endswith(".weight") and ".ln" not in name:
            # 100 columns are no whole blocks.
            assert kind == ("F16" if "ffn_down" in name else "Q8_0"), name
        else:
            assert kind == before[name], name
    assert [(f.wanted, f.used, f.columns, f.tensors) for f in done.fallbacks] == [
        ("Q8_0", "F16", 100, 2)
    ]
    kept = values(encoder)
    for name, found in values(out).items():
        bound = 0.0 if after[name] == before[name] else 0.005
        assert np.abs(found - kept[name]).max() <= bound, name
    described = {k: v for k, v in metadata(out).items() if "file_type" not in k}
    assert described.pop("general.quantization_version") == 2
    assert described == metadata(encoder)


def test_an_encoder_takes_a_type_and_overrides(encoder: Path, tmp_path: Path) -> None:
    out = tmp_path / "mmproj-out.gguf"
    projection = Override("mm.input_projection.weight", tensor_type("F32"))
    quantize(encoder, out, type="Q4_0", overrides=[projection])
    found = types(out)
    assert found["v.blk.1.attn_out.weight"] == "Q4_0"
    assert found["mm.input_projection.weight"] == "F32"
    assert found["v.patch_embd.weight"] == "F32"


def test_an_encoder_has_no_mix_of_a_size(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(SlmError, match="encoder of pictures, which has no mixes"):
        quantize(encoder, tmp_path / "out.gguf", type="web", max_size=10**6)


def test_what_merely_has_such_a_name_is_no_encoder(tmp_path: Path) -> None:
    (tmp_path / "cat.gguf").touch()
    (tmp_path / "mmproj-cat.gguf").symlink_to(tmp_path / "gone.gguf")
    (tmp_path / "mmproj-cat-f16.gguf").mkdir()
    assert encoder_beside(tmp_path / "cat.gguf") is None


def test_an_encoder_that_cannot_be_used_stops_no_text_model(gemma3: Path, tmp_path: Path) -> None:
    model = tmp_path / "text.gguf"
    model.write_bytes(gemma3.read_bytes())
    (tmp_path / "mmproj-model-f16.gguf").write_bytes(b"GGUF and no more")
    assert read_shape(model).encoder is None
    made = bundle([model], tmp_path / "site")
    assert made.models[0].vision is None
    assert "packed without its encoder of pictures" in made.notes[0]
