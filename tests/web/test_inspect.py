"""slm.inspect and slm.saes in a real browser, on the CPU and on an emulated GPU: the tokens and
the features that the same core names in Python, and steering, which ends with its request.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from slmweb.core import Model, Site
from slmweb.core.look import rows_of
from slmweb.pack.pack import pack
from slmweb.server.app import Folders, create_app
from tests.goldens.tiny_gguf import write_gguf
from tests.parity.test_sae import LAYER, N_FEATURES, write_sae
from tests.web.conftest import ROOT, open_harness
from tests.web.serving import Site as Server
from tests.web.serving import serve

NAME, EMBEDDER = "gemma3", "gemma-embedding"
TEXT = "the rain in the train"
TOP = 3
FEATURE = 17
LOAD_SAE = """async ([name, bytes]) => {
  const file = new Blob([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))]);
  return harness.outcome(slm.saes.load(file, {name}));
}"""
LOAD = """async ([name, backend]) => {
  const url = `/models/${name}/manifest.json`;
  const options = {baseUrl: '/', storage: 'memory', backend};
  globalThis.slm = await harness.SLM.load(url, options);
  return slm.info;
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The GGUF files, and the same packed for the web under `models/name`."""
    root = tmp_path_factory.mktemp("inside")
    for name in (NAME, EMBEDDER):
        pack(write_gguf(name, root / f"{name}.gguf"), root / "models" / name, name=name)
    return root


@pytest.fixture(scope="module")
def sae_file(folder: Path) -> Path:
    """Of the residual behind the layer LAYER."""
    with Model.open(folder / f"{NAME}.gguf") as model:
        return write_sae(folder, model, Site.RESIDUAL, "Q8_0", {FEATURE: "cats"})


@pytest.fixture(scope="module")
def server(folder: Path, harness_folder: Path) -> Iterator[Server]:
    folders = Folders(web=harness_folder, wasm=ROOT / "dist/wasm", models=folder / "models")
    with serve(create_app(folders)) as running:
        yield running


@pytest.fixture(scope="module", params=["cpu", "webgpu"])
def loaded(request: pytest.FixtureRequest, server: Server) -> Iterator[Page]:
    on_gpu = request.param == "webgpu"
    browser: Browser = request.getfixturevalue("gpu_browser" if on_gpu else "browser")
    with browser.new_context() as context:
        page = open_harness(context.new_page(), server)
        assert page.evaluate(LOAD, [NAME, request.param])["backend"] == request.param
        yield page


def inspect(page: Page, request: dict[str, Any]) -> Any:
    return page.evaluate("(request) => harness.outcome(slm.inspect(request))", request)


def complete(page: Page, **more: Any) -> str:
    request = {"prompt": TEXT, "temperature": 0, "max_tokens": 8, "ignore_eog": True, **more}
    answer = page.evaluate("(request) => slm.completions.create(request)", request)
    text: str = answer["choices"][0]["text"]
    return text


def test_tokens_behind_each_layer_are_those_of_python(loaded: Page, folder: Path) -> None:
    found = inspect(loaded, {"text": TEXT, "top": TOP})
    with Model.open(folder / f"{NAME}.gguf") as model, model.session() as session:
        n_layer = model.info["n_layer"] or 0
        ids = model.tokenizer.encode(TEXT, special=False)
        session.tap([(Site.RESIDUAL, layer) for layer in range(n_layer)])
        session.eval(ids)
        rows = [session.tapped(layer) for layer in range(n_layer)]
        assert [token["id"] for token in found["tokens"]] == ids
        for layer, behind in enumerate(rows):
            logits = session.lens(behind)
            logprobs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
            for token, row in zip(found["tokens"], logprobs, strict=True):
                seen = token["layers"][layer]
                assert seen["layer"] == layer
                assert len(seen["next"]) == TOP
                best = np.sort(row)[::-1][:TOP]
                np.testing.assert_allclose([n["logprob"] for n in seen["next"]], best, atol=0.02)
    assert "".join(token["token"] for token in found["tokens"][1:]).strip() == TEXT
    assert found["usage"]["prompt_tokens"] == len(ids)


def test_the_layers_asked_for_come_once_and_rising(loaded: Page) -> None:
    found = inspect(loaded, {"text": TEXT, "layer": [1, 0, 1]})
    assert [seen["layer"] for seen in found["tokens"][0]["layers"]] == [0, 1]
    (one,) = inspect(loaded, {"text": TEXT, "layer": 1})["tokens"][0]["layers"]
    assert one == found["tokens"][0]["layers"][1]


def test_the_last_layer_says_what_the_model_goes_on_with(loaded: Page) -> None:
    n_layer = loaded.evaluate("slm.info.n_layer")
    found = inspect(loaded, {"text": TEXT, "layer": n_layer - 1, "top": 1})
    (best,) = found["tokens"][-1]["layers"][0]["next"]
    assert complete(loaded, max_tokens=1) == best["token"]


def test_steering_lasts_for_its_request_alone(loaded: Page) -> None:
    n_embd = loaded.evaluate("slm.info.n_embd")
    direction = np.random.default_rng(1).standard_normal(n_embd).tolist()
    steer = [{"layer": 0, "direction": direction, "strength": 50}]
    alone = complete(loaded)
    assert complete(loaded, steer=steer) != alone
    assert complete(loaded) == alone
    look = {"text": TEXT, "layer": 0, "top": 1}
    plain = inspect(loaded, look)
    assert inspect(loaded, {**look, "steer": steer}) != plain
    assert inspect(loaded, look) == plain
    assert complete(loaded, steer=[{**steer[0], "strength": 0}]) == alone


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({}, "Expected either text or messages"),
        ({"text": "a", "messages": []}, "Expected either text or messages"),
        ({"text": "a", "layer": 99}, "Expected layers from 0 to"),
        ({"text": "a", "layer": []}, "Expected at least one layer"),
        ({"text": "a", "top": 0}, "Expected top to be a whole number from 1 to 20, found 0."),
        ({"text": "a", "sites": 1}, "Expected only parameters that slmweb knows, found sites."),
        (
            {"text": "a", "steer": [{"layer": 0, "direction": [1], "strength": 1}]},
            "Expected a direction of",
        ),
    ],
    ids=json.dumps,
)  # fmt: skip
def test_a_mistake_is_named(loaded: Page, request_: dict[str, Any], sentence: str) -> None:
    found = inspect(loaded, request_)
    assert found["code"] == "invalid_argument"
    assert found["error"].startswith(sentence)


@pytest.fixture
def with_sae(loaded: Page, sae_file: Path) -> Iterator[Page]:
    info = loaded.evaluate(LOAD_SAE, ["scope", base64.b64encode(sae_file.read_bytes()).decode()])
    assert (info["site"], info["layer"], info["features"]) == ("residual", LAYER, N_FEATURES)
    assert info["labels"] == 1
    assert loaded.evaluate("slm.saes.list()") == [info]
    yield loaded
    loaded.evaluate("slm.saes.remove('scope')")
    assert loaded.evaluate("slm.saes.list()") == []


def test_features_of_each_token_are_those_of_python(
    with_sae: Page, folder: Path, sae_file: Path
) -> None:
    found = inspect(with_sae, {"text": TEXT, "sae": "scope", "top": TOP, "features": [FEATURE]})
    with (
        Model.open(folder / f"{NAME}.gguf") as model,
        model.load_sae(sae_file) as sae,
        model.session() as session,
    ):
        ids = model.tokenizer.encode(TEXT, special=False)
        (rows,) = rows_of(session, ids, [sae.place])
        session.encode(sae, rows)
        assert [token["id"] for token in found["tokens"]] == ids
        for row, token in enumerate(found["tokens"]):
            assert token["layers"] == []
            *strongest, asked = token["features"]
            assert (asked["feature"], asked["label"]) == (FEATURE, "cats")
            expected = session.feature(FEATURE, row)
            best = session.features(TOP, row)
            scale = best[0][1]
            np.testing.assert_allclose(asked["activation"], expected, atol=0.02 * scale)
            values = [feature["activation"] for feature in strongest]
            np.testing.assert_allclose(values, [v for _, v in best], atol=0.02 * scale)
    both = inspect(with_sae, {"text": TEXT, "sae": "scope", "layer": 0})["tokens"][0]
    assert len(both["layers"]) == 1
    assert both["features"]


def test_a_feature_steers(with_sae: Page) -> None:
    alone = complete(with_sae)
    steer = [{"sae": "scope", "feature": FEATURE, "strength": 200}]
    assert complete(with_sae, steer=steer) != alone
    assert complete(with_sae) == alone


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        ({"sae": "other"}, "Expected the name of an autoencoder that is there (scope), found"),
        ({"features": [1]}, "Expected sae beside features, found [1]."),
        ({"sae": "scope", "features": [N_FEATURES]}, "Expected a feature from 0 to"),
        (
            {"steer": [{"sae": "scope", "feature": -1, "strength": 1}]},
            f"Expected a feature from 0 to {N_FEATURES - 1}, found -1.",
        ),
    ],
    ids=json.dumps,
)  # fmt: skip
def test_a_mistake_about_features_is_named(
    with_sae: Page, request_: dict[str, Any], sentence: str
) -> None:
    found = inspect(with_sae, {"text": TEXT, **request_})
    assert found["code"] == "invalid_argument"
    assert found["error"].startswith(sentence)


def test_a_file_that_is_none_is_refused_and_not_there(loaded: Page, folder: Path) -> None:
    model = base64.b64encode((folder / f"{NAME}.gguf").read_bytes()).decode()
    assert "error" in loaded.evaluate(LOAD_SAE, ["wrong", model])
    assert loaded.evaluate("slm.saes.list()") == []


def test_an_abort_ends_it_and_the_next_request_is_answered(loaded: Page) -> None:
    reason = loaded.evaluate("""async (text) => {
      const controller = new AbortController();
      const asked = slm.inspect({text}, {signal: controller.signal});
      controller.abort('enough');
      return asked.then(() => 'answered', (reason) => reason);
    }""", TEXT)  # fmt: skip
    assert reason == "enough"
    assert inspect(loaded, {"text": TEXT, "layer": 0})["tokens"]


def test_a_model_that_embeds_or_is_guarded_is_not_looked_into(
    browser: Browser, server: Server
) -> None:
    with browser.new_context() as context:
        page = open_harness(context.new_page(), server)
        page.evaluate(LOAD, [EMBEDDER, "cpu"])
        assert inspect(page, {"text": TEXT})["code"] == "unsupported"
        page.evaluate(
            """async (name) => {
              const options = {baseUrl: '/', storage: 'memory', backend: 'cpu'};
              const url = `/models/${name}/manifest.json`;
              const guard = {model: url};
              globalThis.slm = await harness.SLM.load(url, {...options, guard});
            }""",
            NAME,
        )
        found = inspect(page, {"text": TEXT})
        assert found["code"] == "unsupported"
        assert "without its guard" in found["error"]


def test_those_of_the_pack_are_there_by_name(
    browser: Browser, folder: Path, server: Server, sae_file: Path
) -> None:
    pack(
        [folder / f"{NAME}.gguf"],
        folder / "models/with-sae",
        name="with-sae",
        saes=[(sae_file, "Cats and others")],
        with_known_answer=False,
    )
    with browser.new_context() as context:
        page = open_harness(context.new_page(), server)
        server.hits.clear()
        page.evaluate(LOAD, ["with-sae", "cpu"])
        fetched = server.fetched()
        (known,) = page.evaluate("slm.saes.list()")
        name = known["name"]
        assert (name, known["title"], known["loaded"]) == (
            "residual-q8_0",
            "Cats and others",
            False,
        )
        assert (known["site"], known["layer"], known["labels"]) == ("residual", LAYER, 1)
        labels = page.evaluate("(name) => slm.saes.labels(name)", name)
        assert labels == [{"feature": FEATURE, "label": "cats"}]
        assert page.evaluate("slm.saes.list()") == [{**known, "loaded": True}]
        # Its bytes came with the model's: nothing is fetched again.
        request = {"text": TEXT, "sae": name, "top": TOP, "features": [FEATURE]}
        listed = inspect(page, request)["tokens"]
        assert server.fetched() == fetched
        page.evaluate(LOAD_SAE, ["own", base64.b64encode(sae_file.read_bytes()).decode()])
        assert inspect(page, {**request, "sae": "own"})["tokens"] == listed
        page.evaluate("(name) => slm.saes.remove(name)", name)
        assert [sae["loaded"] for sae in page.evaluate("slm.saes.list()")] == [False, True]
