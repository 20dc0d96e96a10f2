"""Packs that carry sparse autoencoders: what the manifest says of them, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slmweb.bundle.bundle import bundle
from slmweb.core import Model, Site
from slmweb.errors import SlmError
from slmweb.pack.manifest import Manifest, PackedSae, parse_manifest, read_manifest
from slmweb.pack.pack import pack, verify
from tests.parity.test_sae import LAYER, N_FEATURES, width_of, write_sae
from tests.py.cli.program import slmweb
from tests.py.pack.test_vision_manifest import manifest

LABELS = {3: "cats", 17: "the end of a sentence"}
SCOPE = PackedSae("scope", "Scope", 1, "residual", 2, 576, 100, 7, "cc-by-4.0")


@pytest.fixture(scope="module")
def saes(gemma3: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of a residual, with labels, and of attention heads."""
    folder = tmp_path_factory.mktemp("saes")
    with Model.open(gemma3, weights=False) as model:
        return [
            write_sae(folder, model, Site.RESIDUAL, "Q8_0", LABELS),
            write_sae(folder, model, Site.HEADS),
        ]


def test_a_pack_carries_autoencoders(gemma3: Path, saes: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "model"
    done = slmweb("pack", str(gemma3), "-o", str(out), "--sae", f"{saes[0]}=Layer three",
                  "--sae", str(saes[1]), "--verify", "--json")  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["saes"] == ["residual-q8_0", "heads-f32"]
    packed = read_manifest(out)
    width = width_of(Site.RESIDUAL)
    assert packed.saes[0] == PackedSae(
        "residual-q8_0", "Layer three", 1, "residual", LAYER, width, N_FEATURES, len(LABELS), None
    )
    heads = packed.saes[1]
    assert (heads.site, heads.width, heads.labels) == ("heads", width_of(Site.HEADS), 0)
    assert [file.name for file in packed.model_files] == [gemma3.name]
    assert b"".join((out / c.sha256).read_bytes() for c in packed.files[1].chunks) == (
        saes[0].read_bytes()
    )
    assert verify(out) == packed
    # Where a model is taken, the pack is one, without what lies beside it.
    with Model.open(out) as model:
        assert model.load_sae(saes[0]).label(3) == "cats"


def test_a_bundle_carries_them_on(gemma3: Path, saes: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    pack([gemma3], folder, name="tiny", saes=[(saes[0], None)], with_known_answer=False)
    bundle([folder], tmp_path / "site")
    packed = verify(tmp_path / "site/models/tiny")
    assert [sae.labels for sae in packed.saes] == [len(LABELS)]


def test_one_of_another_model_is_refused_before_anything_is_written(
    llama: Path, gemma3: Path, saes: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "model"
    done = slmweb("pack", str(llama), "-o", str(out), "--sae", str(saes[0]))
    assert done.returncode == 1
    sentence = done.stderr.decode()
    assert sentence.count("\n") == 1
    assert "the SAE is of a gemma3 model, and this is a llama model" in sentence
    with pytest.raises(SlmError, match="two autoencoders would have the name 'residual-q8_0'"):
        pack([gemma3], out, saes=[(saes[0], None), (saes[0], "Again")])
    assert not out.exists()


def carrying(*saes: PackedSae) -> Manifest:
    """Whose files 1 and 2 are nobody's yet."""
    return replace(manifest(), adapters=(), vision=None, saes=saes)


def test_the_manifest_comes_back() -> None:
    packed = carrying(SCOPE, replace(SCOPE, name="other", file=2, license=None))
    assert parse_manifest(packed.to_json(), "it") == packed
    assert [file.name for file in packed.model_files] == ["cat.gguf"]
    assert "saes" not in json.loads(carrying().to_json())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("file", 3),
        ("file", -1),
        ("file", 2.0),
        ("site", "everywhere"),
        ("layer", -1),
        ("width", 0),
        ("features", None),
        ("labels", 101),
        ("name", "../x"),
        ("title", 4),
        ("license", 4),
        ("colour", "green"),
    ],
)
def test_what_an_autoencoder_cannot_be_is_refused(key: str, value: Any) -> None:
    read = json.loads(carrying(SCOPE).to_json())
    read["saes"][0][key] = value
    with pytest.raises(SlmError, match="it is not a manifest that can be used") as caught:
        parse_manifest(json.dumps(read).encode(), "it")
    assert caught.value.code == "bad_manifest"


@pytest.mark.parametrize(
    "saes",
    [
        (SCOPE, replace(SCOPE, file=2)),  # of one name
        (SCOPE, replace(SCOPE, name="other")),  # of one file
        tuple(replace(SCOPE, name=f"sae{file}", file=file) for file in range(3)),  # of all files
    ],
)
def test_each_has_a_name_and_a_file_of_its_own(saes: tuple[PackedSae, ...]) -> None:
    with pytest.raises(SlmError, match="autoencoders"):
        parse_manifest(carrying(*saes).to_json(), "it")
    with pytest.raises(SlmError, match="no file of its own"):
        parse_manifest(replace(manifest(), saes=(SCOPE,)).to_json(), "it")  # the adapter's
