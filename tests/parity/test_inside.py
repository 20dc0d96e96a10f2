"""What is inside a model against transformers' own modules (hooks; make_inside.py): what its
layers hand on, what their networks add, what their heads put out; a layer's residual through the
head, and logits that a direction has steered. Exact float32, for every family.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from slmweb.core import Instance, Model, Session, Site
from slmweb.errors import SlmError
from tests.goldens.tiny_gguf import write_gguf
from tests.goldens.tiny_models import EMBEDDERS, INSIDE, MODELS, digest, direction, sequence
from tests.parity.logits import F32, assert_close, evaluate

INSIDES = Path(__file__).parents[1] / "goldens" / "inside"
BOUND = 2e-5  # of the norm; float32 rounding through up to ten layers
N_CTX = 64
SITES = {"residual": Site.RESIDUAL, "mlp": Site.MLP, "heads": Site.HEADS}


def golden(name: str) -> dict[str, F32]:
    with np.load(INSIDES / f"{name}.npz") as file:
        assert digest(MODELS[name]) == str(file["weights_sha256"]), "run `make goldens ARGS=inside`"
        return {key: file[key] for key in file.files}


def places(expected: dict[str, F32]) -> list[str]:
    return [name for name in expected if name.partition(".")[0] in SITES]


def parse(place: str) -> tuple[Site, int]:
    site, _, layer = place.partition(".")
    return SITES[site], int(layer)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inside")


def tiny(name: str, folder: Path) -> Path:
    path = folder / f"{name}.gguf"
    if not path.exists():
        write_gguf(name, path)
    return path


@pytest.fixture(params=INSIDE)
def model(core: Instance, folder: Path, request: pytest.FixtureRequest) -> Iterator[Model]:
    with Model.open(tiny(request.param, folder), core=core) as opened:
        yield opened


def tiny_name(model: Model) -> str:
    return str(model.info["name"]).removeprefix("tiny ")


def rows_of(session: Session, ids: list[int], taps: int) -> list[F32]:
    """What the taps have after an evaluation in batches of the session's size."""
    blocks: list[list[F32]] = []
    for start in range(0, len(ids), session.n_batch):
        session.eval(ids[start : start + session.n_batch], "none")
        blocks.append([session.tapped(i) for i in range(taps)])
    return [np.concatenate(of_tap) for of_tap in zip(*blocks, strict=True)]


@pytest.mark.parametrize("n_batch", [32, 7, 1])
def test_taps(model: Model, n_batch: int) -> None:
    expected = golden(tiny_name(model))
    looked = places(expected)
    with model.session(N_CTX, n_batch) as session:
        session.exact()
        session.tap([parse(place) for place in looked])
        found = rows_of(session, expected["ids"].tolist(), len(looked))
    for place, rows in zip(looked, found, strict=True):
        print(place)
        assert_close(rows, expected[place], BOUND)


def test_every_layer_that_is_looked_into_has_the_sites_that_it_should(model: Model) -> None:
    name = tiny_name(model)
    found = set(places(golden(name)))
    for layer in INSIDE[name]:
        assert {f"residual.{layer}", f"mlp.{layer}"} <= found
        assert (f"heads.{layer}" in found) or MODELS[name].recurs(layer)


def test_the_lens_is_the_head_on_a_layer(model: Model) -> None:
    expected = golden(tiny_name(model))
    middle = MODELS[tiny_name(model)].n_layer // 2 - 1
    with model.session(N_CTX, 8) as session:
        session.exact()
        session.tap([(Site.RESIDUAL, middle)])
        (rows,) = rows_of(session, expected["ids"].tolist(), 1)
        logits = session.lens(rows)
        assert_close(logits[::5], expected["lens"], BOUND)
        # The top of the last block of rows, as numpy has it.
        last = logits[len(logits) // 8 * 8 :][0].astype(np.float64)
        probability = np.exp(last - last.max())
        order = np.argsort(-last, kind="stable")[:4]
        top = session.top(4)
        assert [token for token, _ in top] == order.tolist()
        np.testing.assert_allclose(
            [logprob for _, logprob in top],
            np.log(probability / probability.sum())[order],
            atol=1e-5,
        )


def test_the_lens_of_the_last_layer_is_what_the_model_says(model: Model) -> None:
    """Rounded as its own logits are, of a quantized model too."""
    ids = golden(tiny_name(model))["ids"].tolist()
    last = MODELS[tiny_name(model)].n_layer - 1
    with model.session(N_CTX, 32) as session:
        session.tap([(Site.RESIDUAL, last)])
        logits = session.eval(ids, "all")
        assert logits is not None
        assert_close(session.lens(session.tapped(0)), logits, 1e-6)


def test_steering(model: Model) -> None:
    name = tiny_name(model)
    expected, ids = golden(name), golden(name)["ids"].tolist()
    middle = MODELS[name].n_layer // 2 - 1
    push = direction(MODELS[name])
    scale = float(expected["scale"])
    with model.session(N_CTX, 7) as session:
        session.exact()
        plain = evaluate(session, ids)
        session.steer(middle, push, scale / 3)
        session.steer(middle, push, scale * 2 / 3)
        assert session.reuse(ids) == 0, "what the cache holds was steered otherwise"
        assert_close(evaluate(session, ids)[::5], expected["steered"], BOUND)
        session.steer_no_more()
        assert session.reuse(ids) == 0
        assert (evaluate(session, ids) == plain).all()


def test_a_tap_sees_what_was_steered_and_a_network_does_not(core: Instance, folder: Path) -> None:
    ids = golden("gemma2")["ids"].tolist()
    push = direction(MODELS["gemma2"])
    with Model.open(tiny("gemma2", folder), core=core) as model, model.session(N_CTX) as session:
        session.exact()
        session.tap([(Site.RESIDUAL, 1), (Site.MLP, 1)])
        plain = rows_of(session, ids, 2)
        session.steer(1, push, 2.0)
        session.reuse([])
        steered = rows_of(session, ids, 2)
    assert_close(steered[0], plain[0] + 2 * push, 1e-6)
    assert (steered[1] == plain[1]).all()


def test_several_residuals_are_not_looked_into(core: Instance, folder: Path) -> None:
    ids = sequence(MODELS["gemma3n"])[:8]
    path = tiny("gemma3n", folder)
    with Model.open(path, core=core) as model, model.session(N_CTX) as session:
        for refused in (
            lambda: session.tap([(Site.RESIDUAL, 0)]),
            lambda: session.steer(0, direction(MODELS["gemma3n"])),
            lambda: session.lens(np.zeros((1, MODELS["gemma3n"].n_embd), np.float32)),
        ):
            with pytest.raises(SlmError, match="several residuals in each layer") as caught:
                refused()
            assert caught.value.code == "unsupported"
        assert session.eval(ids) is not None


def test_the_same_steering_reuses_the_cache(core: Instance, folder: Path) -> None:
    ids = golden("llama")["ids"].tolist()
    push = direction(MODELS["llama"])
    with Model.open(tiny("llama", folder), core=core) as model, model.session(N_CTX) as session:
        session.steer(0, push)
        session.eval(ids, "none")
        session.steer_no_more()
        session.steer(0, push)
        assert session.reuse(ids) == len(ids) - 1


def test_looking_changes_nothing(model: Model) -> None:
    ids = golden(tiny_name(model))["ids"].tolist()
    with model.session(N_CTX, 7) as session:
        plain = evaluate(session, ids)
        session.tap([(Site.RESIDUAL, 0), (Site.MLP, 1), (Site.RESIDUAL, 1)])
        session.reuse([])
        assert (evaluate(session, ids) == plain).all()
        session.tap([])
        session.reuse([])
        assert (evaluate(session, ids) == plain).all()


def test_a_lens_is_no_token_to_sample(core: Instance, folder: Path) -> None:
    with Model.open(tiny("llama", folder), core=core) as model, model.session(N_CTX) as session:
        session.tap([(Site.RESIDUAL, 0)])
        session.eval([1, 2, 3])
        rows = session.tapped(0)
        assert rows.shape == (3, 64)
        session.lens(rows)
        assert session.n_past == 3
        with pytest.raises(SlmError, match="no logits to sample from"):
            core.check("slm_session_sample", session.handle)
        session.eval([4])
        core.check("slm_session_sample", session.handle)


@pytest.mark.parametrize(
    ("taps", "code", "said"),
    [
        ([(Site.RESIDUAL, 5)], "invalid_argument", "there is no layer 5; the model has 0 to 4"),
        ([(7, 0)], "invalid_argument", "there is no site 7; slm_site has 3"),
        ([(Site.HEADS, 0)], "unsupported", "layer 0 recurs and has no attention heads"),
    ],
)
def test_what_cannot_be_tapped_is_said(
    core: Instance, folder: Path, taps: list[tuple[Site, int]], code: str, said: str
) -> None:
    with (
        Model.open(tiny("recurrentgemma", folder), core=core) as model,
        model.session(N_CTX) as session,
    ):
        session.tap([(Site.RESIDUAL, 1)])
        with pytest.raises(SlmError, match=said) as error:
            session.tap(taps)
        assert error.value.code == code
        with pytest.raises(SlmError, match="nothing was evaluated"):
            session.tapped(0)
        session.eval([1])
        assert np.isfinite(session.tapped(0)).all(), "the taps of before are still there"
        with pytest.raises(SlmError, match=r"there is no tap 1; the session has 1"):
            session.tapped(1)
        with pytest.raises(SlmError, match="a direction of 3 numbers; this model has 64"):
            session.steer(0, [1, 2, 3])
        with pytest.raises(SlmError, match=r"rows of the shape \(2, 5\); expected \(n, 64\)"):
            session.lens(np.zeros((2, 5)))


def test_a_model_that_embeds_is_not_looked_into(core: Instance, folder: Path) -> None:
    (name, tiny_model), *_ = EMBEDDERS.items()
    with Model.open(tiny(name, folder), core=core) as model, model.session(N_CTX) as session:
        with pytest.raises(SlmError, match="embeds texts"):
            session.tap([(Site.RESIDUAL, 0)])
        with pytest.raises(SlmError, match="embeds texts"):
            session.steer(0, direction(tiny_model))
