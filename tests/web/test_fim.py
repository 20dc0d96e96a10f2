"""Filling in the middle by the public API in a real browser: a tiny model, whose words mean
nothing; that they are the right ones, the same core in Python says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from slmweb.core import Model
from slmweb.core.fim import Infill, fill_or_continue
from slmweb.core.session import Sampling
from slmweb.pack.pack import pack
from slmweb.server.app import Folders, create_app
from tests.py.models import QWEN_CODER, tiny, with_special
from tests.web.conftest import ROOT, open_harness
from tests.web.serving import serve

N_CTX = 128
INFILL = Infill("the one in", " on the")
LOAD = """async (n_ctx) => {
  globalThis.slm = await harness.SLM.load('/models/coder/manifest.json', {
    baseUrl: '/', storage: 'memory', variant: 'relaxed', threads: 1, n_ctx});
  return slm.info.has_fim;
}"""
PRELUDE = """
const fill = (params = {}) => slm.completions.create({
  prompt: 'the one in', suffix: ' on the', temperature: 0, max_tokens: 16, ignore_eog: true,
  ...params});
"""


@pytest.fixture(scope="module")
def coder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fim")
    model = with_special(tiny("qwen3", folder), folder / "coder.gguf", QWEN_CODER)
    pack([model], folder / "models" / "coder", name="coder")
    return model


@pytest.fixture(scope="module")
def loaded(browser: Browser, harness_folder: Path, coder: Path) -> Iterator[Page]:
    folders = Folders(harness_folder, ROOT / "dist/wasm", coder.parent / "models")
    with serve(create_app(folders)) as site, browser.new_context() as context:
        page = open_harness(context.new_page(), site)
        assert page.evaluate(LOAD, N_CTX) is True
        yield page


def evaluate(page: Page, body: str) -> Any:
    return page.evaluate(f"() => harness.outcome((async () => {{ {PRELUDE} {body} }})())")


def expected(coder: Path, infill: Infill, room: int | None = None) -> tuple[str, int, int]:
    with Model.open(coder, variant="relaxed") as model, model.session(N_CTX) as session:
        prompt = fill_or_continue(model, infill, room)
        sampling = Sampling(temperature=0, ignore_eog=True)
        text = "".join(session.generate(prompt.ids, sampling, max_tokens=16))
        return text, len(prompt.ids), prompt.dropped


REPO = "files: [{path: 'b.py', text: 'the'}], path: 'a.py', repo: 'r'"
IN_REPO = (("b.py", "the"),)


@pytest.mark.parametrize(
    ("params", "infill"),
    [
        ("{}", INFILL),
        ("{fim: {form: 'spm'}}", Infill("the one in", " on the", "spm")),
        (f"{{fim: {{{REPO}}}}}", Infill("the one in", " on the", "psm", IN_REPO, "a.py", "r")),
        ("{suffix: null, fim: {}}", Infill("the one in", "")),
        (
            "{prompt: '<|fim_middle|>', suffix: '<|im_end|>'}",
            Infill("<|fim_middle|>", "<|im_end|>"),
        ),
    ],
)
def test_the_middle_is_the_cores(loaded: Page, coder: Path, params: str, infill: Infill) -> None:
    answer = evaluate(loaded, f"return fill({params})")
    text, n, dropped = expected(coder, infill)
    assert answer["choices"][0]["text"] == text
    assert (answer["usage"]["prompt_tokens"], answer["dropped_tokens"]) == (n, dropped)


def test_a_stream_says_the_same_with_logprobs(loaded: Page, coder: Path) -> None:
    answer = evaluate(
        loaded,
        """let text = '', tokens = 0, last;
           for await (const chunk of await fill({stream: true, logprobs: 1})) {
             text += chunk.choices[0].text;
             tokens += chunk.choices[0].logprobs?.tokens.length ?? 0;
             last = chunk;
           }
           return {text, tokens, dropped: last.dropped_tokens};""",
    )
    assert answer == {"text": expected(coder, INFILL)[0], "tokens": 16, "dropped": 0}


def test_what_does_not_fit_is_trimmed_where_that_is_asked_for(loaded: Page, coder: Path) -> None:
    long = "{prompt: 'the '.repeat(90), suffix: ' on'.repeat(60)"
    assert evaluate(loaded, f"return fill({long}}})")["code"] == "context_full"
    answer = evaluate(loaded, f"return fill({long}, context_overflow: 'trim'}})")
    text, n, dropped = expected(coder, Infill("the " * 90, " on" * 60), N_CTX - 16)
    assert dropped > 0
    assert answer["choices"][0]["text"] == text
    assert (answer["usage"]["prompt_tokens"], answer["dropped_tokens"]) == (n, dropped)


def test_echo_has_no_place_in_it(loaded: Page) -> None:
    refused = evaluate(loaded, "return fill({echo: true})")
    assert refused == {
        "code": "invalid_argument",
        "error": "Expected echo without suffix and fim, found both.",
    }
