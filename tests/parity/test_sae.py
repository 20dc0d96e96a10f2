"""Sparse autoencoders in the core against sae-lens' formulas for Gemma Scope, in float64:
pre = x W_enc + b_enc; f = pre where that is above the threshold and above 0; directions are rows
of W_dec. On rows that the model itself has made, at every site.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slmweb.convert.sae import Base, Place, convert_sae
from slmweb.core import Instance, Model, Sae, Session, Site
from slmweb.core.look import activations, features, rows_of
from slmweb.errors import SlmError
from slmweb.generated.abi import TENSOR_TYPES
from slmweb.quantize.codec import decode, encode
from tests.goldens.tiny_gguf import write_gguf
from tests.goldens.tiny_models import MODELS, sequence, uniform
from tests.parity.logits import F32

NAME = "gemma3"
N_FEATURES = 403  # no multiple of anything
N_TOKENS = 40
SITES = [Site.RESIDUAL, Site.MLP, Site.HEADS]
LAYER = 3
TYPES = ["F32", "F16", "Q8_0", "Q4_0"]


@dataclass(frozen=True)
class Params:
    """What a file of Gemma Scope holds."""

    w_enc: F32  # (width, features)
    b_enc: F32
    w_dec: F32  # (features, width)
    b_dec: F32
    threshold: F32

    def as_npz(self, path: Path) -> Path:
        capitals = {name: name.replace("w_", "W_") for name in self.__dict__}
        arrays: dict[str, Any] = {capitals[name]: values for name, values in self.__dict__.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **arrays)
        return path

    def encoded(self, rows: F32) -> np.ndarray[Any, np.dtype[np.float64]]:
        pre = rows.astype(np.float64) @ self.w_enc.astype(np.float64) + self.b_enc
        return np.where((pre > self.threshold) & (pre > 0), pre, 0.0)


def width_of(site: Site) -> int:
    tiny = MODELS[NAME]
    return tiny.n_head * tiny.head_dim if site == Site.HEADS else tiny.n_embd


def params(site: Site, gain: float = 1.0) -> Params:
    width = width_of(site)

    def draw(name: str, *shape: int) -> F32:
        return uniform(f"sae {site.name} {name}", shape).astype(np.float32)

    return Params(
        draw("w_enc", width, N_FEATURES) * np.float32(gain),
        draw("b_enc", N_FEATURES),
        draw("w_dec", N_FEATURES, width),
        draw("b_dec", width),
        np.abs(draw("threshold", N_FEATURES)) * np.float32(2),
    )


def base(model: Model) -> Base:
    widths = {site: width_of(site) for site in Site}
    return Base(str(model.info["architecture"]), "tiny", int(model.info["n_layer"] or 0), widths)


def write_sae(
    folder: Path, model: Model, site: Site, kind: str = "F32", labels: dict[int, str] | None = None
) -> Path:
    out = folder / f"{site.name}.{kind}.gguf"
    source = params(site).as_npz(folder / site.name / "params.npz")
    files = []
    if labels is not None:
        files.append(folder / "labels.json")
        files[0].write_text(json.dumps({str(k): v for k, v in labels.items()}))
    convert_sae(
        source, out, base(model), type=TENSOR_TYPES[kind], place=Place(site, LAYER), labels=files
    )
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sae")


@pytest.fixture
def model(core: Instance, folder: Path) -> Iterator[Model]:
    path = folder / "model.gguf"
    if not path.exists():
        write_gguf(NAME, path)
    with Model.open(path, core=core) as opened:
        yield opened


def held(site: Site, kind: str) -> Params:
    """With the values that the file's type can hold."""
    p, tensor_type = params(site), TENSOR_TYPES[kind]

    def rounded(rows: F32) -> F32:
        return decode(encode(np.ascontiguousarray(rows), tensor_type), tensor_type, rows.shape[1])

    return Params(rounded(p.w_enc.T).T, p.b_enc, rounded(p.w_dec), p.b_dec, p.threshold)


def all_features(session: Session, sae: Sae, rows: F32) -> F32:
    """[rows, features], by way of the strongest."""
    found = np.zeros((len(rows), N_FEATURES), np.float32)
    for row, of_row in enumerate(features(session, sae, rows, N_FEATURES)):
        for feature, activation in of_row:
            found[row, feature] = activation
        strengths = [activation for _, activation in of_row]
        assert strengths == sorted(strengths, reverse=True)
        assert all(activation > 0 for activation in strengths)
    return found


@pytest.mark.parametrize("n_batch", [16, 1])
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("site", SITES)
def test_features(model: Model, folder: Path, site: Site, kind: str, n_batch: int) -> None:
    """Whether or not the session rounds activations, the encoder does not."""
    with (
        model.load_sae(write_sae(folder, model, site, kind)) as sae,
        model.session(64, n_batch) as session,
    ):
        (rows,) = rows_of(session, sequence(MODELS[NAME], N_TOKENS), [sae.place])
        found = all_features(session, sae, rows)
        expected = held(site, kind).encoded(rows)
        # A number at its very threshold may fall to either side.
        margin = 1e-4 * np.abs(expected).max()
        sure = np.abs(expected - held(site, kind).threshold) > margin
        error = np.linalg.norm((found - expected) * sure) / np.linalg.norm(expected)
        assert error < 1e-5
        active = float((expected > 0).mean())
        assert 0.05 < active < 0.95, "thresholds that decide nothing"
        assert activations(session, sae, rows, 17) == [float(v) for v in found[:, 17]]


def test_what_it_says_of_itself(model: Model, folder: Path) -> None:
    labels = {0: "cats", 402: "the last one"}
    with model.load_sae(write_sae(folder, model, Site.MLP, "Q8_0", labels)) as sae:
        info = sae.info
        assert sae.place == (Site.MLP, LAYER)
        assert (info["width"], info["features"], info["labels"]) == (64, N_FEATURES, 2)
        assert (sae.label(0), sae.label(1), sae.label(402)) == ("cats", None, "the last one")
        assert info["base"] == "tiny"
        fed = [tensor["name"] for tensor in info["tensors"] if "granule" in tensor]
        assert fed == ["encoder.weight", "encoder.bias", "threshold"], "the decoder stays outside"


@pytest.mark.parametrize("kind", TYPES)
def test_steering_by_a_feature(model: Model, folder: Path, kind: str) -> None:
    """Adds its row of the decoder, of whatever type, to the residual."""
    ids = sequence(MODELS[NAME], 12)
    with (
        model.load_sae(write_sae(folder, model, Site.RESIDUAL, kind)) as sae,
        model.session(64) as session,
    ):
        session.exact()
        row = held(Site.RESIDUAL, kind).w_dec[111]
        np.testing.assert_array_equal(sae.direction(111), row)
        (plain,) = rows_of(session, ids, [sae.place])
        session.steer_by(sae, 111, 5.0)
        (steered,) = rows_of(session, ids, [sae.place])
        np.testing.assert_allclose(steered, plain + 5 * row, rtol=1e-5, atol=1e-5)


def test_heads_steer_nothing(model: Model, folder: Path) -> None:
    with (
        model.load_sae(write_sae(folder, model, Site.HEADS)) as sae,
        model.session(64) as session,
        pytest.raises(SlmError, match="attention heads steers no residual"),
    ):
        session.steer_by(sae, 0, 1.0)


def test_a_session_keeps_what_it_has_encoded_with(model: Model, folder: Path) -> None:
    rows = uniform("rows", (3, 64)).astype(np.float32)
    with model.session(64, 4) as session:
        with pytest.raises(SlmError, match="there is no encoded row 0; 0 rows"):
            session.features(3)
        with model.load_sae(write_sae(folder, model, Site.RESIDUAL)) as sae:
            session.encode(sae, rows)
        expected = params(Site.RESIDUAL).encoded(rows)[2]
        (best, activation), *_ = session.features(1, row=2)
        assert best == int(expected.argmax())
        assert activation == pytest.approx(expected.max(), rel=1e-5)
        with pytest.raises(SlmError, match="there is no encoded row 3; 3 rows"):
            session.features(3, row=3)
        with pytest.raises(SlmError, match="there is no feature 403; the SAE has 403"):
            session.feature(403)


def test_a_token_is_sampled_as_if_nobody_had_encoded(model: Model, folder: Path) -> None:
    ids = sequence(MODELS[NAME], 8)
    with (
        model.load_sae(write_sae(folder, model, Site.RESIDUAL)) as sae,
        model.session(64) as session,
    ):
        logits = session.eval(ids)
        assert logits is not None
        session.encode(sae, np.ones((5, 64), np.float32))
        assert (session.last_logits() == logits[0]).all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"architecture": "gemma2"}, "is of a gemma2 model, and this is a gemma3 model"),
        ({"n_layer": 99, "layer": 50}, "'sae.layer' is not a layer of this model; expected 0 to 6"),
        ({"width": 32}, "should have 64 x 403"),
    ],
)
def test_an_sae_of_another_model(
    model: Model, folder: Path, change: dict[str, Any], said: str
) -> None:
    told = base(model)
    source = params(Site.RESIDUAL).as_npz(folder / "other" / "params.npz")
    if "width" in change:
        small = params(Site.RESIDUAL)
        Params(
            small.w_enc[:32], small.b_enc, small.w_dec[:, :32], small.b_dec[:32], small.threshold
        ).as_npz(source)
    other = Base(
        change.get("architecture", told.architecture),
        None,
        change.get("n_layer", told.n_layer),
        {site: change.get("width", width_of(site)) for site in Site},
    )
    out = folder / "other.gguf"
    place = Place(Site.RESIDUAL, change.get("layer", LAYER))
    convert_sae(source, out, other, type=TENSOR_TYPES["F32"], place=place)
    with pytest.raises(SlmError, match=said) as error:
        model.load_sae(out)
    assert error.value.code == "bad_file"


def test_files_that_are_no_sae(model: Model, core: Instance, folder: Path) -> None:
    with pytest.raises(SlmError, match=r"no 'general.type'|'general.type' is"):
        model.load_sae(folder / "model.gguf")
    side = write_sae(folder, model, Site.RESIDUAL)
    with pytest.raises(SlmError, match="is a sparse autoencoder of a gemma3 model and no model"):
        Model.open(side, core=core, weights=False)
    cut = folder / "cut.gguf"
    cut.write_bytes(side.read_bytes()[:-4000])
    with pytest.raises(SlmError):
        model.load_sae(cut)
