"""The editor page, whole and sealed: a tiny model that fills in, and SmolLM2, which goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Frame, Locator, Page, expect

from slmweb.core import Model
from slmweb.core.fim import Infill, fill_or_continue
from slmweb.core.session import Sampling
from slmweb.pack.pack import pack
from slmweb.server.app import Folders, create_app
from slmweb.server.site import make_site
from tests.py.models import QWEN_CODER, tiny, with_special
from tests.web.conftest import ROOT
from tests.web.serving import Site, serve

AXE = (ROOT / "node_modules/axe-core/axe.min.js").read_text()
PATIENCE_MS = 60_000
EDITOR = make_site(page="editor")


@pytest.fixture(scope="module")
def coder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("editor")
    return with_special(tiny("qwen3", folder), folder / "tiny-coder.gguf", QWEN_CODER)


@pytest.fixture(scope="module")
def server(coder: Path) -> Iterator[Site]:
    models = coder.parent / "models"
    pack([coder], models / "tiny-coder", name="tiny-coder", title="Tiny coder")
    folders = Folders(ROOT / "dist/web", ROOT / "dist/wasm", models)
    with serve(create_app(folders, site=EDITOR)) as running:
        yield running


@dataclass
class Editor:
    page: Page
    frame: Frame
    console: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, page: Page, site: Site) -> Editor:
        console: list[str] = []
        page.on("console", lambda message: console.append(message.text))
        page.on("pageerror", lambda error: console.append(str(error)))
        page.goto(site.url)
        frame = page.locator("iframe#sandbox").element_handle().content_frame()
        assert frame is not None
        editor = cls(page, frame, console)
        expect(editor.status).to_have_text("Ready", timeout=PATIENCE_MS)
        return editor

    @property
    def code(self) -> Locator:
        return self.frame.get_by_role("textbox", name="Code")

    @property
    def status(self) -> Locator:
        return self.frame.locator(".editor-status")

    @property
    def ghost(self) -> Locator:
        return self.frame.locator(".ghost")

    def text(self) -> str:
        lines = self.frame.locator(".cm-line").evaluate_all(
            "(lines) => lines.map((line) => [...line.childNodes].filter((node) =>"
            " !node.classList?.contains('ghost')).map((node) => node.textContent).join(''))"
        )
        return "\n".join(lines)

    def write(self, before: str, behind: str = "") -> None:
        """In place of what is there, with the cursor between the two."""
        self.page.keyboard.press("Control+a")
        self.page.keyboard.press("Delete")
        self.page.keyboard.insert_text(before + behind)
        for _ in behind:
            self.page.keyboard.press("ArrowLeft")
        self.page.keyboard.press("Control+Space")
        expect(self.status).to_have_text("Tab accepts, Esc dismisses", timeout=PATIENCE_MS)


@pytest.fixture
def editor(browser: Browser, server: Site) -> Iterator[Editor]:
    with browser.new_context() as context:
        yield Editor.open(context.new_page(), server)


def expected(coder: Path, before: str, behind: str) -> str:
    with Model.open(coder, variant="relaxed") as model, model.session(512) as session:
        ids = fill_or_continue(model, Infill(before, behind)).ids
        sampling = Sampling(temperature=0, stop=["\n\n"])
        return "".join(session.generate(ids, sampling, max_tokens=64)).rstrip()


def test_what_is_missing_is_suggested_and_taken_with_tab(
    editor: Editor, server: Site, coder: Path
) -> None:
    expect(editor.code).to_be_focused()
    server.hits.clear()
    editor.write("the one in", " on the")
    wanted = expected(coder, "the one in", " on the")
    assert "the" in wanted
    assert editor.ghost.text_content() == wanted
    assert editor.text() == "the one in on the"  # nothing is written yet
    told = editor.frame.locator("[aria-live=polite][role=status]")
    assert told.text_content() == f"Suggestion: {wanted}"
    expect(editor.frame.get_by_text("has not learned to fill in")).to_be_hidden()
    editor.page.keyboard.press("Tab")
    expect(editor.code).to_be_focused()
    assert editor.text().startswith("the one in")
    assert editor.text().endswith(f"{wanted[-4:]} on the")
    assert server.fetched() == []
    assert [line for line in editor.console if "No available adapters" not in line] == []


def test_a_suggestion_is_dismissed_taken_by_the_word_or_typed(editor: Editor) -> None:
    editor.write("x = ", ")")
    whole = editor.ghost.text_content() or ""
    editor.page.keyboard.press("Escape")
    expect(editor.ghost).to_have_count(0)
    assert editor.text() == "x = )"
    editor.page.keyboard.press("Control+Space")
    expect(editor.ghost).to_have_text(whole)
    editor.page.keyboard.insert_text(whole[0])  # what is typed as it says makes it shorter
    expect(editor.ghost).to_have_text(whole[1:])
    editor.page.keyboard.press("Control+ArrowRight")
    expect(editor.ghost).to_have_text(whole[2:])
    assert editor.text() == f"x = {whole[:2]})"
    editor.page.keyboard.press("Home")
    expect(editor.ghost).to_have_count(0)


def test_what_is_typed_over_is_replaced_and_can_come_back(editor: Editor) -> None:
    sample = editor.text()
    editor.page.keyboard.press("Control+a")
    editor.page.keyboard.type("x = 1")
    assert editor.text() == "x = 1"
    editor.page.keyboard.press("Control+z")
    editor.page.keyboard.press("Control+z")
    assert editor.text() == sample
    assert [line for line in editor.console if "No available adapters" not in line] == []


def test_tab_leaves_the_code_where_nothing_is_suggested(editor: Editor) -> None:
    editor.page.keyboard.press("Shift+Tab")
    expect(editor.frame.get_by_role("button", name="Switch to dark colours")).to_be_focused()


def test_another_language_brings_its_sample_and_keeps_what_was_written(editor: Editor) -> None:
    choice = editor.frame.get_by_role("combobox", name="Language of the code")
    choice.select_option("javascript")
    assert editor.text().startswith("/** The arithmetic mean")
    editor.code.press("Control+End")
    editor.page.keyboard.type("x")
    choice.select_option("python")
    assert editor.text().startswith("/** The arithmetic mean")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_by_everybody(browser: Browser, server: Site, scheme: Any) -> None:
    with browser.new_context(color_scheme=scheme, viewport={"width": 390, "height": 700}) as small:
        editor = Editor.open(small.new_page(), server)
        editor.write("the", " on")
        editor.frame.evaluate(AXE)
        found = editor.frame.evaluate("axe.run()")["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
        assert editor.frame.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_model_that_cannot_fill_in_goes_on_and_the_page_says_so(
    browser: Browser, tmp_path: Path
) -> None:
    with serve(create_app(site=EDITOR)) as site, browser.new_context() as context:
        editor = Editor.open(context.new_page(), site)
        expect(editor.frame.get_by_text("has not learned to fill in")).to_be_visible()
        editor.write("def add(a, b):\n    return a")
        expect(editor.ghost).to_be_visible()
        editor.page.screenshot(path=tmp_path / "editor.png")
        assert [line for line in editor.console if "No available adapters" not in line] == []


def test_the_seal_is_the_chats(editor: Editor, context: BrowserContext, server: Site) -> None:
    assert editor.frame.evaluate("[origin, typeof RTCPeerConnection]") == ["null", "undefined"]
    sandbox = editor.page.locator("iframe#sandbox")
    assert sandbox.get_attribute("sandbox") == "allow-scripts allow-downloads"
    assert sandbox.get_attribute("title") == "Editor"
    refused = editor.frame.evaluate(
        "(url) => fetch(url).then(() => 'came', () => 'refused')", f"{server.url}/models.json"
    )
    assert refused == "refused"
