"""embeddings.create in a real browser, on the CPU and on an emulated GPU: OpenAI's shape
around the numbers that the same core gives in Python.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, expect

from slmweb.core import Model
from slmweb.pack.pack import pack
from slmweb.server.app import Folders, create_app
from tests.goldens.tiny_gguf import write_gguf
from tests.goldens.tiny_models import EMBEDDERS
from tests.web.conftest import ROOT, open_harness
from tests.web.serving import Site, serve

NAME = "gemma-embedding"
TEXTS = ["the rain in the train", "x", "a <bos> that is no token"]
LOAD = """async ([name, backend]) => {
  const url = `/models/${name}/manifest.json`;
  globalThis.slm = await harness.SLM.load(url, {baseUrl: '/', storage: 'memory', backend});
  return slm.info;
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The GGUF files, and the same packed for the web under `models/name`."""
    root = tmp_path_factory.mktemp("embedders")
    for name in (NAME, "gemma"):
        files = write_gguf(name, root / f"{name}.gguf")
        pack(files, root / "models" / name, name=name)
    return root


@pytest.fixture(scope="module")
def server(folder: Path, harness_folder: Path) -> Iterator[Site]:
    folders = Folders(web=harness_folder, wasm=ROOT / "dist/wasm", models=folder / "models")
    with serve(create_app(folders)) as running:
        yield running


@pytest.fixture(scope="module", params=["cpu", "webgpu"])
def loaded(request: pytest.FixtureRequest, server: Site) -> Iterator[Page]:
    on_gpu = request.param == "webgpu"
    browser: Browser = request.getfixturevalue("gpu_browser" if on_gpu else "browser")
    with browser.new_context() as context:
        page = open_harness(context.new_page(), server)
        info = page.evaluate(LOAD, [NAME, request.param])
        assert info["backend"] == request.param
        assert info["n_embedding"] == EMBEDDERS[NAME].n_embedding
        # The GPU has been held to the embedding of the known answer.
        states = {check["name"]: check["state"] for check in info["checks"]}
        assert states == ({} if not on_gpu else dict.fromkeys(states, "passed"))
        assert ("known_answer" in states) == on_gpu
        yield page


@pytest.fixture(scope="module")
def expected(folder: Path) -> NDArray[np.float32]:
    with Model.open(folder / f"{NAME}.gguf") as model, model.session() as session:
        ids = [model.tokenizer.encode(text, special=False) for text in TEXTS]
        return np.stack([session.embed(i) for i in ids])


def create(page: Page, request: dict[str, Any]) -> Any:
    return page.evaluate("(request) => harness.outcome(slm.embeddings.create(request))", request)


def vectors(answer: Any) -> NDArray[np.float32]:
    assert [item["index"] for item in answer["data"]] == list(range(len(answer["data"])))
    return np.array([item["embedding"] for item in answer["data"]], np.float32)


def test_several_texts(loaded: Page, expected: NDArray[np.float32]) -> None:
    answer = create(loaded, {"input": TEXTS, "model": "whatever"})
    np.testing.assert_allclose(vectors(answer), expected, atol=1e-4)
    assert (answer["object"], answer["model"]) == ("list", NAME)
    n = loaded.evaluate(
        "async (texts) => (await Promise.all(texts.map((t) => slm.tokenize(t, {special: false}))))"
        ".flat().length",
        TEXTS,
    )
    assert answer["usage"] == {"prompt_tokens": n + len(TEXTS), "total_tokens": n + len(TEXTS)}


def test_one_text_in_base64(loaded: Page, expected: NDArray[np.float32]) -> None:
    answer = create(loaded, {"input": TEXTS[0], "encoding_format": "base64"})
    raw = base64.b64decode(answer["data"][0]["embedding"])
    np.testing.assert_allclose(np.frombuffer(raw, "<f4"), expected[0], atol=1e-4)


def test_fewer_dimensions(loaded: Page, expected: NDArray[np.float32]) -> None:
    (found,) = vectors(create(loaded, {"input": TEXTS[0], "dimensions": 8}))
    short = expected[0, :8] / np.linalg.norm(expected[0, :8])
    np.testing.assert_allclose(found, short, atol=1e-4)


def test_tokens(loaded: Page) -> None:
    as_text = vectors(create(loaded, {"input": "x"}))
    ids = loaded.evaluate("slm.tokenize('x')")
    np.testing.assert_array_equal(vectors(create(loaded, {"input": [2, *ids]})), as_text)


@pytest.mark.parametrize(
    ("request_", "code", "sentence"),
    [
        ({"input": []}, "invalid_argument", "a list of at least one"),
        ({"input": ["x", ""]}, "invalid_argument", "texts of at least one character"),
        ({"input": [[307]]}, "invalid_argument", "tokens from 0 to 306"),
        ({"input": "x", "dimensions": 65}, "invalid_argument", "from 1 to 64"),
        ({"input": "x", "encoding_format": "hex"}, "invalid_argument", "'float' or 'base64'"),
        ({"input": "x", "dimension": 8}, "invalid_argument", "slmweb knows, found dimension"),
        ({"input": "x" * 600}, "context_full", "is more than the 512"),
    ],
)
def test_what_is_refused(loaded: Page, request_: dict[str, Any], code: str, sentence: str) -> None:
    answer = create(loaded, request_)
    assert (answer["code"], sentence in answer["error"]) == (code, True), answer


def test_a_model_that_embeds_does_not_chat(loaded: Page) -> None:
    answer = loaded.evaluate("harness.outcome(slm.completions.create({prompt: 'x'}))")
    assert answer["code"] == "unsupported"
    assert "embeds texts" in answer["error"]


def test_the_page_shows_what_can_be_talked_to(page: Page, folder: Path) -> None:
    dist = ROOT / "dist"
    folders = Folders(web=dist / "web", wasm=dist / "wasm", models=folder / "models")
    with serve(create_app(folders)) as running:
        page.goto(running.url)
        frame = page.frame_locator("iframe")
        expect(frame.get_by_text("tiny gemma", exact=True).first).to_be_visible()
        expect(frame.get_by_text("tiny gemma-embedding")).to_have_count(0)


def test_a_model_that_generates_does_not_embed(page: Page, server: Site) -> None:
    open_harness(page, server)
    page.evaluate(LOAD, ["gemma", "cpu"])
    answer = create(page, {"input": "x"})
    assert answer["code"] == "unsupported"
    assert "load an embedding model" in answer["error"]
