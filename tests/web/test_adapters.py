"""Adapters in a real browser, by the public API and on the released page: one base,
many domains, and nothing fetched twice.

The base is a tiny model, so what is asked of it is bytes that mean nothing; that
they are the right ones, the same core in Python says.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Frame, Page, expect

from slmweb.core import Model, chat_prompt
from slmweb.pack.pack import pack
from slmweb.server.app import Folders, create_app
from tests.goldens.tiny_adapters import LAW, TALE, write_adapter
from tests.goldens.tiny_gguf import write_gguf
from tests.goldens.tiny_models import MODELS, TYPED_MODELS
from tests.py.models import CHATML, with_template
from tests.web.conftest import ROOT, open_harness
from tests.web.serving import Site, serve

CHUNK = r"/[0-9a-f]{64}$"
BASES = {"tiny": MODELS["qwen2"], "tiny-q4": TYPED_MODELS["Q4_0"]}
QUESTION = "What is the law?"
N_TOKENS = 16
LOAD = """async ([name, variant, threads]) => {
  const url = `/models/${name}/manifest.json`;
  globalThis.slm = await harness.SLM.load(url, {
    baseUrl: '/', storage: 'memory', variant, threads, n_ctx: 256,
  });
}"""
PRELUDE = """
const settings = {temperature: 0, max_tokens: 16, ignore_eog: true, logprobs: true};
const messages = [{role: 'user', content: 'What is the law?'}];
/** The bytes of the answer's tokens. */
const ask = async (params = {}) => {
  const answer = await slm.chat.completions.create({messages, ...settings, ...params});
  return answer.choices[0].logprobs.content.map(({bytes}) => bytes);
};
const law = {name: 'law'}, tale = {name: 'tale'};
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GGUF files under `name/`, and the same packed for the web under `models/name`."""
    root = tmp_path_factory.mktemp("adapters")
    for name, tiny in BASES.items():
        source = root / name
        source.mkdir()
        (plain,) = write_gguf(tiny.name, source / "plain.gguf")
        base = with_template(plain, source / "base.gguf", CHATML)
        adapters: list[tuple[Path, str | None]] = [
            (write_adapter(tiny, LAW, source / "law.gguf"), "Law"),
            (write_adapter(tiny, TALE, source / "tale.gguf"), None),
        ]
        pack(
            [base],
            root / "models" / name,
            name=name,
            title=f"{name.capitalize()} model",
            sampling={"temperature": 0},
            adapters=adapters,
        )
    write_adapter(MODELS["llama"], LAW, root / "llama.gguf")
    return root


@pytest.fixture(scope="module")
def server(harness_folder: Path, folder: Path) -> Iterator[Site]:
    folders = Folders(web=harness_folder, wasm=ROOT / "dist" / "wasm", models=folder / "models")
    with serve(create_app(folders)) as running:
        yield running


@pytest.fixture(scope="module")
def loaded(browser: Browser, server: Site) -> Iterator[Page]:
    with browser.new_context() as context:
        page = open_harness(context.new_page(), server)
        page.evaluate(LOAD, ["tiny", "relaxed", 1])
        yield page


def evaluate(page: Page, body: str, argument: Any = None) -> Any:
    """Runs the body of an async function; an SlmError becomes {error, code}."""
    code = f"(argument) => harness.outcome((async () => {{ {PRELUDE} {body} }})())"
    return page.evaluate(code, argument)


def core_answer(base: Path, mix: list[tuple[str, float]]) -> list[list[int]]:
    """The same answer by the core in Python, greedily."""
    with Model.open(base / "base.gguf", variant="relaxed") as model, model.session(256) as session:
        session.adapters(
            [(model.load_adapter(base / f"{name}.gguf"), scale) for name, scale in mix]
        )
        ids = chat_prompt(model, [{"role": "user", "content": QUESTION}])
        session.prefill(ids[:-1])
        answer: list[list[int]] = []
        token = ids[-1]
        for _ in range(N_TOKENS):
            logits = session.eval([token])
            assert logits is not None
            token = int(logits[0].argmax())
            answer.append(list(model.tokenizer.decode([token], special=True)))
        return answer


@pytest.mark.parametrize(
    ("base", "variant", "threads"),
    [
        ("tiny", "relaxed", 1),
        ("tiny", "relaxed-mt", 2),
        ("tiny", "simd-mt", 2),
        ("tiny-q4", "relaxed-mt", 1),
        ("tiny-q4", "relaxed-mt", 2),
    ],
)
def test_domains_come_and_go_without_the_base(
    browser: Browser, server: Site, folder: Path, base: str, variant: str, threads: int
) -> None:
    with browser.new_context() as context:
        page = open_harness(context.new_page(), server)
        page.evaluate(LOAD, [base, variant, threads])
        assert page.evaluate("slm.info.threads") == threads
        before = len(server.hits)
        answers = evaluate(
            page,
            """
            const answers = {none: await ask()};
            await slm.adapters.use([law]);
            answers.law = await ask();
            answers.lawAgain = await ask();
            answers.noneForOnce = await ask({adapters: []});
            await slm.adapters.use([tale, {name: 'law', scale: 0.5}]);
            answers.mixed = await ask();
            await slm.adapters.use([{name: 'law', scale: 0}]);
            answers.zero = await ask();
            await slm.adapters.use([]);
            answers.noneAgain = await ask();
            return answers;
            """,
        )
        assert server.hits[before:] == []
    assert answers["none"] != answers["law"] != answers["mixed"] != answers["none"]
    assert answers["lawAgain"] == answers["law"]
    assert answers["noneForOnce"] == answers["zero"] == answers["noneAgain"] == answers["none"]
    if base == "tiny":  # float32: only rounding differs between the variants
        expected = {"none": [], "law": [("law", 1.0)], "mixed": [("tale", 1.0), ("law", 0.5)]}
        for name, mix in expected.items():
            assert answers[name] == core_answer(folder / base, mix)


def test_the_cache_serves_only_the_domain_that_filled_it(loaded: Page) -> None:
    cached = evaluate(
        loaded,
        """
        const cached = async (adapters) => {
          const answer = await slm.chat.completions.create({messages, ...settings, adapters});
          return answer.usage.prompt_tokens_details.cached_tokens;
        };
        await cached([]);
        return [await cached([]), await cached([law]), await cached([law]), await cached([])];
        """,
    )
    assert cached[0] == cached[2] > 0
    assert cached[1] == cached[3] == 0


def test_an_answer_under_way_keeps_its_domain(loaded: Page) -> None:
    whole, pieces, after = evaluate(
        loaded,
        """
        await slm.adapters.use([]);
        const whole = await ask();
        const stream = await slm.chat.completions.create({messages, ...settings, stream: true});
        const waiting = ask();
        const pieces = [];
        for await (const {choices: [choice]} of stream) {
          pieces.push(...(choice.logprobs?.content ?? []).map(({bytes}) => bytes));
          if (pieces.length === 2) await slm.adapters.use([law]);
        }
        return [whole, pieces, await waiting];
        """,
    )
    # A request in line was made before the change, too.
    assert whole == pieces == after


def test_an_adapter_of_ones_own(loaded: Page, harness_folder: Path, folder: Path) -> None:
    data = (folder / "tiny" / "law.gguf").read_bytes()
    (harness_folder / "law.gguf").write_bytes(data)
    result = evaluate(
        loaded,
        """
        const listed = slm.adapters.list();
        const url = '/assets/law.gguf';
        const fromUrl = await slm.adapters.load(url, {name: 'mine', title: 'My own'});
        const blob = await (await fetch(url)).blob();
        await slm.adapters.load(blob, {name: 'blob'});
        const answers = [];
        for (const name of ['law', 'mine', 'blob']) answers.push(await ask({adapters: [{name}]}));
        await slm.adapters.use([{name: 'mine'}]);
        for (const name of ['law', 'mine', 'blob']) slm.adapters.remove(name);
        answers.push(await ask(), await ask({adapters: [law]}), await ask({adapters: []}));
        return {listed, fromUrl, answers, left: slm.adapters.list()};
        """,
    )
    assert [(item["name"], item["title"]) for item in result["listed"]] == [
        ("law", "Law"),
        ("tale", "tiny tale"),
    ]
    assert result["fromUrl"] == {
        "name": "mine", "title": "My own", "size": len(data), "loaded": True, "rank": 3,
    }  # fmt: skip
    law, mine, blob, removed, law_again, none = result["answers"]
    assert law == mine == blob == law_again != none == removed
    # What the manifest lists is only unloaded, and was loaded again for the last request.
    assert [(item["name"], item["loaded"]) for item in result["left"]] == [
        ("law", True),
        ("tale", False),
    ]


@pytest.mark.parametrize(
    ("call", "code", "sentence"),
    [
        ("ask({adapters: [{name: 'gone'}]})", "invalid_argument", "(law, tale), found 'gone'"),
        ("slm.adapters.use([{name: 'law', scale: NaN}])", "invalid_argument", "scale of 'law'"),
        ("slm.adapters.use([law, law])", "invalid_argument", "found 'law' twice"),
        ("slm.adapters.use('law')", "invalid_argument", "a list of {name, scale}"),
        ("slm.adapters.load(new Blob(['x']), {name: 'law'})", "invalid_argument", "is taken"),
        ("slm.adapters.load(new Blob(['x']), {name: ''})", "invalid_argument", "1 to 100"),
        ("slm.adapters.load('/nowhere.gguf', {name: 'x'})", "network", "found HTTP 404"),
        ("slm.adapters.load(new Blob(['GGUF']), {name: 'x'})", "bad_file", "cut short"),
        (
            "slm.adapters.load(new Blob([Uint8Array.from(argument)]), {name: 'x'})",
            "bad_file",
            "'general.architecture' is 'llama', but should be 'qwen2'",
        ),
        (
            "slm.adapters.load(new Blob(['x']), {name: 'x', signal: AbortSignal.abort()})",
            "AbortError",
            "",
        ),
    ],
)
def test_what_is_refused(loaded: Page, folder: Path, call: str, code: str, sentence: str) -> None:
    argument = list((folder / "llama.gguf").read_bytes()) if "argument" in call else None
    refusal = evaluate(loaded, f"return await {call}", argument)
    assert refusal["code"] == code, refusal
    assert sentence in refusal["error"]
    # Nothing of it stays behind.
    assert len(evaluate(loaded, "return slm.adapters.list()")) == 2
    assert len(evaluate(loaded, "return ask({adapters: []})")) == N_TOKENS


# ---- the released page


@pytest.fixture
def released(page: Page, folder: Path) -> Iterator[tuple[Frame, Site]]:
    folders = Folders(
        web=ROOT / "dist" / "web", wasm=ROOT / "dist" / "wasm", models=folder / "models"
    )
    with serve(create_app(folders)) as site:
        page.goto(site.url)
        frame = page.locator("iframe#sandbox").element_handle().content_frame()
        assert frame is not None
        yield frame, site


def test_the_page_offers_the_domains(released: tuple[Frame, Site]) -> None:
    frame, site = released
    frame.get_by_role("button", name="Download").first.click()
    field = frame.get_by_role("textbox", name="Message", exact=True)
    expect(field).to_have_attribute("placeholder", "Ask Tiny", timeout=60_000)

    def set_domain(label: str) -> None:
        frame.locator(".top").get_by_role("button", name="Settings").click()
        panel = frame.get_by_role("dialog", name="Settings")
        longest = panel.get_by_role("spinbutton", name="Longest answer")
        longest.fill("32")
        longest.press("Enter")
        panel.get_by_role("combobox", name="Domain").select_option(label=label)
        panel.get_by_role("button", name="Close").click()

    def ask(label: str) -> tuple[str, str]:
        set_domain(label)
        frame.get_by_role("button", name="New chat").click()
        field.fill(QUESTION)
        field.press("Enter")
        answer = frame.locator(".turn.assistant")
        retry = answer.get_by_role("button", name="Retry")
        expect(retry).to_be_visible(timeout=60_000)
        return answer.locator(".who").inner_text(), answer.locator(".prose").inner_text()

    none = ask("None, the model alone")
    before = len(site.hits)
    law = ask("Law")
    assert frame.locator(".top .domain").inner_text() == "Law"
    tale = ask("tiny tale")
    again = ask("None, the model alone")
    assert (none[0], law[0], tale[0]) == ("Tiny", "Tiny · Law", "Tiny · tiny tale")
    assert again == none
    assert none[1] != law[1] != tale[1] != none[1]
    assert site.fetched(before) == []
    assert len({hit.path for hit in site.paths(CHUNK)}) == len(site.paths(CHUNK))
