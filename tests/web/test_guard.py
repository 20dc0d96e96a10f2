"""slm.guard over SmolLM2, which knows the words Yes and No, in a real browser: its scores are
those of the command line, policies share their text, and a model is screened by another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from slmweb.core import Model, render
from slmweb.core.guard import Policy, check
from slmweb.generated.guard import GUARD_TEMPLATE
from slmweb.server.app import Folders, create_app
from tests.goldens.real_models import find
from tests.web.conftest import ROOT, open_harness
from tests.web.serving import Site, serve

URL = "/models/smollm2-135m-instruct-q4_1/manifest.json"
PROMPT = "How do I cook an egg? <|im_end|>"
OWN = [
    {"name": "No cooking", "text": "The prompt shall not ask for a recipe."},
    {"name": "No eggs", "text": "The prompt shall not name an egg."},
]
PATIENCE_SECONDS = 240
LOAD = """async (options) => {
  globalThis.load = (more) => harness.SLM.load(URL, {
    baseUrl: '/', storage: 'memory', n_ctx: 512, threads: 1, ...options, ...more});
  globalThis.slm = await load();
  return slm.info.backend;
}""".replace("URL", repr(URL))


@pytest.fixture(scope="module")
def server(harness_folder: Path) -> Iterator[Site]:
    dist = ROOT / "dist"
    folders = Folders(web=harness_folder, wasm=dist / "wasm", models=dist / "models")
    with serve(create_app(folders)) as running:
        yield running


@pytest.fixture(scope="module", params=["cpu", "webgpu"])
def loaded(request: pytest.FixtureRequest, server: Site) -> Iterator[Page]:
    on_gpu = request.param == "webgpu"
    browser: Browser = request.getfixturevalue("gpu_browser" if on_gpu else "browser")
    with browser.new_context() as context:
        page = open_harness(context.new_page(), server)
        assert page.evaluate(LOAD, {"backend": request.param}) == request.param
        yield page


on_the_cpu = pytest.mark.parametrize("loaded", ["cpu"], indirect=True)


def evaluate(page: Page, body: str, argument: Any = None) -> Any:
    code = f"(async () => {{ {body} }})()"
    return page.evaluate(f"(arg) => harness.outcome({code}, {PATIENCE_SECONDS})", argument)


def test_scores_are_those_of_the_command_line(loaded: Page) -> None:
    body = "return [await slm.guard.check(arg), slm.info.dot]"
    found, _ = evaluate(loaded, body, {"prompt": PROMPT, "policies": OWN})
    path = find("smollm2")
    assert path is not None
    with Model.open(path) as model, model.session(512) as session:
        expected = check(session, PROMPT, policies=[Policy(**own) for own in OWN])
    scores = found["scores"]
    assert [score["name"] for score in scores] == [own["name"] for own in OWN]
    # Activations are rounded in other ways by other kernels.
    assert [score["probability"] for score in scores] == pytest.approx(
        [score.probability for score in expected], abs=0.02
    )
    usage = found["usage"]
    assert usage["prompt_tokens"] == sum(score.tokens for score in expected)
    assert usage["completion_tokens"] == 0
    shared = usage["prompt_tokens_details"]["cached_tokens"]
    assert shared >= expected[1].cached_tokens


@on_the_cpu
def test_a_score_is_the_share_of_the_logprobs(loaded: Page) -> None:
    """What the generic API says of the same prompt, where a bias makes it say each word."""
    found = evaluate(loaded, """
      const {scores} = await slm.guard.check({prompt: 'Hello', policies: arg.policies});
      const scored = [];
      for (const word of ['Yes', 'No']) {
        const [token] = await slm.tokenize(word);
        const {choices} = await slm.completions.create({
          prompt: arg.text, logprobs: 0, max_tokens: 1, temperature: 0, logit_bias: {[token]: 99}});
        if (choices[0].text !== word) throw new Error(choices[0].text);
        scored.push(choices[0].logprobs.token_logprobs[0]);
      }
      return {probability: scores[0].probability, scored};
    """, {"policies": OWN[:1], "text": question_text()})  # fmt: skip
    yes, no = found["scored"]
    assert found["probability"] == pytest.approx(1 / (1 + math.exp(no - yes)), abs=1e-4)


def question_text() -> str:
    guideline = Policy(**OWN[0]).guideline(False)
    messages = [{"role": "user", "content": "Hello"}]
    return str.__str__(render(GUARD_TEMPLATE, messages, guideline=guideline))


@on_the_cpu
def test_the_same_text_has_the_same_scores(loaded: Page) -> None:
    body = """
      const scores = async () => (await slm.guard.check({prompt: 'Hello', response: 'Hi'})).scores;
      const first = await scores();
      await slm.completions.create({prompt: 'Something else', max_tokens: 2});
      return [first, await scores()];
    """
    first, second = evaluate(loaded, body)
    assert first == second
    assert [score["name"] for score in first] == ["dangerous", "harassment", "hate", "sexual"]


@on_the_cpu
def test_what_cannot_be_judged_is_refused(loaded: Page) -> None:
    body = "return slm.guard.check({prompt: 'word '.repeat(600)})"
    assert evaluate(loaded, body)["code"] == "context_full"
    assert evaluate(loaded, "return slm.guard.check({})")["code"] == "invalid_argument"
    aborted = "return slm.guard.check({prompt: 'x'}, {signal: AbortSignal.abort()})"
    assert evaluate(loaded, aborted)["code"] == "AbortError"


@on_the_cpu
def test_a_model_is_screened_by_another(loaded: Page) -> None:
    found = evaluate(loaded, """
      const phases = [];
      const rules = {policies: [arg[0]], threshold: 1};
      const guarded = await load({
        guard: {model: arg[2], ...rules, screen: 'both'},
        onProgress: ({guard}) => phases.push(guard ?? false),
      });
      const ask = (slm, content) => slm.chat.completions.create(
        {messages: [{role: 'user', content}], max_tokens: 6, temperature: 0});
      const free = await ask(guarded, 'Hello');
      const own = await guarded.guard.check({prompt: 'Hello'});
      await guarded.dispose();
      const gone = await harness.outcome(guarded.guard.check({prompt: 'x'}));
      const strict = await load({guard: {model: slm, policies: [arg[0]], threshold: 0}});
      const refused = await ask(strict, 'Hello');
      await strict.dispose();
      const alive = await slm.guard.check({prompt: 'x', policies: [arg[0]]});
      return {free, own, gone, refused, alive: alive.scores.length, phases: [...new Set(phases)]};
    """, [*OWN, URL])  # fmt: skip
    free, refused = found["free"], found["refused"]
    assert free["choices"][0]["finish_reason"] in ("stop", "length")
    assert free["guard"]["refused"] is None
    assert [len(free["guard"][part]["scores"]) for part in ("prompt", "answer")] == [1, 1]
    assert found["own"]["scores"][0]["threshold"] == 1
    assert found["phases"] == [True, False]  # the guard first
    assert found["gone"]["code"] == "disposed"
    assert refused["choices"][0]["finish_reason"] == "content_filter"
    assert "“No cooking”" in refused["choices"][0]["message"]["content"]
    assert found["alive"] == 1  # a guard that was loaded by somebody else stays


@on_the_cpu
def test_a_model_whose_rules_are_wrong_is_not_loaded(loaded: Page) -> None:
    found = evaluate(loaded, "return load({guard: {model: '/nowhere', policies: []}})")
    assert found["code"] == "invalid_argument"
    found = evaluate(loaded, "return load({guard: {model: '/nowhere/manifest.json'}})")
    assert found["code"] == "network"
