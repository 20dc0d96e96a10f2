"""Files of Gemma Scope 1 and 2: where they belong, what is refused, and labels in every form."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader
from safetensors.numpy import save_file

from slmweb.convert.sae import Base, Place, Written, convert_sae, read_labels
from slmweb.core import Site
from slmweb.errors import SlmError
from slmweb.generated.abi import TENSOR_TYPES

WIDTH, HEADS, FEATURES = 64, 128, 10
BASE = Base(
    "gemma3", "gemma-3-270m", 18, {Site.RESIDUAL: WIDTH, Site.MLP: WIDTH, Site.HEADS: HEADS}
)

Arrays = dict[str, Any]


def arrays(width: int = WIDTH) -> Arrays:
    random = np.random.default_rng(7)
    return {
        "w_enc": random.standard_normal((width, FEATURES)).astype(np.float32),
        "b_enc": random.standard_normal(FEATURES).astype(np.float32),
        "w_dec": random.standard_normal((FEATURES, width)).astype(np.float32),
        "b_dec": random.standard_normal(width).astype(np.float32),
        "threshold": np.full(FEATURES, 0.5, np.float32),
    }


def first(folder: Path, given: Arrays) -> Path:
    """As Gemma Scope publishes it."""
    folder.mkdir(parents=True)
    capitals: Arrays = {name.replace("w_", "W_"): values for name, values in given.items()}
    np.savez(folder / "params.npz", **capitals)
    return folder / "params.npz"


def second(folder: Path, given: Arrays, **config: Any) -> Path:
    """As Gemma Scope 2 does."""
    folder.mkdir(parents=True)
    save_file(given, folder / "params.safetensors")
    told = {"architecture": "jump_relu", "width": FEATURES, "affine_connection": False, **config}
    (folder / "config.json").write_text(json.dumps(told))
    return folder


def convert(source: Path, place: Place | None = None, **options: Any) -> Written:
    out = source.parent / "out.gguf"
    return convert_sae(
        source, out, BASE, type=TENSOR_TYPES["F32"], place=place or Place(), **options
    )


@pytest.mark.parametrize(
    ("path", "site", "width"),
    [
        ("gemma-scope-2b-pt-res/layer_12/width_16k/average_l0_82", Site.RESIDUAL, WIDTH),
        ("gemma-scope-2b-pt-mlp/layer_12/width_16k/average_l0_82", Site.MLP, WIDTH),
        ("gemma-scope-2b-pt-att/layer_12/width_16k/average_l0_82", Site.HEADS, HEADS),
        ("resid_post_all/layer_12_width_16k_l0_small", Site.RESIDUAL, WIDTH),
    ],
)
def test_folders_say_where_it_belongs(tmp_path: Path, path: str, site: Site, width: int) -> None:
    done = convert(first(tmp_path / path, arrays(width)))
    assert (done.site, done.layer, done.features, done.width) == (site, 12, FEATURES, width)


@pytest.mark.parametrize(
    ("hook", "site", "width"),
    [
        ("model.layers.9.output", Site.RESIDUAL, WIDTH),
        ("model.language_model.layers.9.output", Site.RESIDUAL, WIDTH),
        ("model.layers.9.post_feedforward_layernorm.output", Site.MLP, WIDTH),
        ("model.layers.9.self_attn.o_proj.input", Site.HEADS, HEADS),
    ],
)
def test_a_config_says_where_it_belongs(tmp_path: Path, hook: str, site: Site, width: int) -> None:
    source = second(tmp_path / "x", arrays(width), hf_hook_point_in=hook, hf_hook_point_out=hook)
    done = convert(source)
    assert (done.site, done.layer) == (site, 9)


def test_the_file_has_what_was_given(tmp_path: Path) -> None:
    given = arrays()
    convert(first(tmp_path / "x", given), Place(Site.RESIDUAL, 3), name="mine", license="cc-by-4.0")
    reader = GGUFReader(tmp_path / "x" / "out.gguf")
    found = {tensor.name: np.asarray(tensor.data) for tensor in reader.tensors}
    np.testing.assert_array_equal(
        found["encoder.weight"].reshape(FEATURES, WIDTH), given["w_enc"].T
    )
    np.testing.assert_array_equal(found["decoder.weight"].reshape(FEATURES, WIDTH), given["w_dec"])
    for name, key in (("encoder.bias", "b_enc"), ("decoder.bias", "b_dec"), ("threshold",) * 2):
        np.testing.assert_array_equal(found[name], given[key])
    facts = {key: field.contents() for key, field in reader.fields.items()}
    assert facts["general.architecture"] == "gemma3"
    assert facts["general.type"] == "sae"
    assert facts["general.name"] == "mine"
    assert facts["general.license"] == "cc-by-4.0"
    assert facts["general.base_model.0.name"] == "gemma-3-270m"
    assert (facts["sae.type"], facts["sae.site"], facts["sae.layer"]) == (
        "jump_relu",
        "residual",
        3,
    )
    assert "sae.labels" not in facts


def without(name: str) -> Arrays:
    return {key: values for key, values in arrays().items() if key != name}


def empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


BAD: dict[str, tuple[Callable[[Path], Path], Place, str]] = {
    "nowhere": (lambda f: first(f, arrays()), Place(Site.RESIDUAL), "give --layer"),
    "no site": (lambda f: first(f, arrays()), Place(layer=3), "give --site"),
    "layer too high": (
        lambda f: first(f, arrays()), Place(Site.MLP, 18), "of layer 18 and the model has 18"),
    "another width": (
        lambda f: first(f, arrays(96)), Place(Site.RESIDUAL, 3), "reads rows of 96, but"),
    "no threshold": (
        lambda f: first(f, without("threshold")), Place(Site.RESIDUAL, 3), "no threshold"),
    "affine": (
        lambda f: first(f, {**arrays(), "affine_skip_connection": np.zeros((64, 64))}),
        Place(Site.RESIDUAL, 3), "affine_skip_connection"),
    "shapes": (
        lambda f: first(f, {**arrays(), "b_enc": np.zeros(9)}), Place(Site.RESIDUAL, 3),
        r"b_enc has the shape \[9\], but w_enc asks for \[10\]"),
    "numbers": (
        lambda f: first(f, {**arrays(), "b_enc": np.full(10, np.nan)}), Place(Site.RESIDUAL, 3),
        "b_enc holds NaN"),
    "transcoder": (
        lambda f: second(f, arrays(), hf_hook_point_in="model.layers.3.output",
                         hf_hook_point_out="model.layers.4.output"),
        Place(), "is of a transcoder"),
    "another type": (
        lambda f: second(f, arrays(), architecture="topk"), Place(Site.MLP, 3), "type 'topk'"),
    "another hook": (
        lambda f: second(f, arrays(), hf_hook_point_in="model.embed_tokens.output"), Place(),
        "an SAE of 'model.embed_tokens.output'"),
    "an empty folder": (empty, Place(Site.MLP, 3), "has neither"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(tmp_path: Path, name: str) -> None:
    make, place, said = BAD[name]
    source = make(tmp_path / "x")
    with pytest.raises(SlmError, match=said):
        convert(source, place)
    assert not list(tmp_path.rglob("*.gguf"))


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x03\x04 cut short"])
def test_a_damaged_npz(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "params.npz"
    path.write_bytes(data)
    with pytest.raises(SlmError) as error:
        convert(path, Place(Site.RESIDUAL, 3))
    assert error.value.code == "bad_file"


def test_rows_that_are_no_blocks(tmp_path: Path) -> None:
    narrow = Base("gemma3", None, 18, dict.fromkeys(Site, 48))
    source = first(tmp_path / "x", arrays(48))
    with pytest.raises(SlmError, match="no whole blocks of Q8_0"):
        convert_sae(
            source, tmp_path / "out.gguf", narrow, type=TENSOR_TYPES["Q8_0"],
            place=Place(Site.RESIDUAL, 3),
        )  # fmt: skip


EXPLANATIONS = [
    {"modelId": "gemma-3-270m", "layer": "12-res", "index": "3", "description": " a\n cat "},
    {"modelId": "gemma-3-270m", "layer": "12-res", "index": "3", "description": "another opinion"},
    {"modelId": "gemma-3-270m", "layer": "12-res", "index": "7", "description": "Größe, 語"},
    {"modelId": "gemma-3-270m", "layer": "12-res", "index": "8", "description": None},
]
LINES = "\n".join(map(json.dumps, EXPLANATIONS)).encode()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("batch-0.jsonl", LINES),
        ("batch-0.jsonl.gz", gzip.compress(LINES)),
        ("labels.json", json.dumps(EXPLANATIONS).encode()),
        ("labels.json", json.dumps({"explanations": EXPLANATIONS}).encode()),
        ("labels.json", json.dumps({"3": "a cat", "7": "Größe, 語"}).encode()),
        ("labels.csv", 'index,description\n3,a cat\n7,"Größe, 語"\n'.encode()),
    ],
)
def test_labels(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert read_labels([path], FEATURES) == {3: "a cat", 7: "Größe, 語"}


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("labels.json", b"[1, 2]", "is no list of labels"),
        ("labels.json", b"{", "is no list of labels"),
        ("labels.csv", b"a,b\n1,2\n", "is no list of labels"),
        ("labels.jsonl.gz", b"not gzip", "is no list of labels"),
        ("labels.json", b'{"10": "x"}', "labels feature 10 and the SAE has 10"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(SlmError, match=said):
        read_labels([path], FEATURES)


def test_a_place_that_the_file_contradicts_is_refused(tmp_path: Path) -> None:
    source = first(tmp_path / "res/layer_12/width_16k", arrays())
    assert convert(source, Place(layer=12, site=Site.RESIDUAL)).layer == 12
    with pytest.raises(SlmError, match="leave --layer out") as caught:
        convert(source, Place(layer=5, site=Site.RESIDUAL))
    assert caught.value.code == "invalid_argument"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bad.jsonl.gz", gzip.compress(b"x" * 5000)[:40] + b"\0" * 60),
        ("deep.json", b"[" * 100_000),
        ("wide.csv", b'index,description\n1,"' + b"x" * 200_000 + b'"\n'),
    ],
)
def test_damaged_labels_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SlmError, match="is no list of labels") as caught:
        read_labels([tmp_path / name], FEATURES)
    assert caught.value.code == "bad_file"


def test_half_a_character_in_a_label_is_written_as_a_mark(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text('{"3": "half \\ud83d of it"}')
    assert read_labels([tmp_path / "labels.json"], FEATURES) == {3: "half ? of it"}


def test_parameters_that_lie_about_their_shape_are_damaged(tmp_path: Path) -> None:
    path = first(tmp_path / "res/layer_1/width_16k", arrays())
    data = bytearray(path.read_bytes())
    at = data.index(b"(10,)")
    data[at : at + 5] = b"(9e9,"
    path.write_bytes(bytes(data))
    with pytest.raises(SlmError, match="download it again") as caught:
        convert(path)
    assert caught.value.code == "bad_file"
