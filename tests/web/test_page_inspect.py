"""The page that looks inside, whole and sealed, with SmolLM2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Frame, Locator, Page, expect

from slmweb.core import Model, Site
from slmweb.pack.pack import pack
from slmweb.server.app import Folders, create_app
from slmweb.server.site import make_site
from tests.goldens.real_models import find
from tests.web.conftest import ROOT
from tests.web.serving import Site as Server
from tests.web.serving import serve

AXE = (ROOT / "node_modules/axe-core/axe.min.js").read_text()
PATIENCE_MS = 120_000
SAMPLE = "The capital of France is"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    models = tmp_path_factory.mktemp("inside")
    path = find("smollm2")
    assert path is not None
    pack([path], models / "smollm2", name="smollm2", title="SmolLM2", with_known_answer=False)
    return Folders(ROOT / "dist/web", ROOT / "dist/wasm", models)


@pytest.fixture(scope="module")
def server(folders: Folders) -> Iterator[Server]:
    with serve(create_app(folders, site=make_site(page="inspect"))) as running:
        yield running


@dataclass
class Inside:
    page: Page
    frame: Frame
    console: list[str]

    @classmethod
    def open(cls, page: Page, site: Server) -> Inside:
        console: list[str] = []
        page.on("console", lambda message: console.append(message.text))
        page.on("pageerror", lambda error: console.append(str(error)))
        page.goto(site.url)
        frame = page.locator("iframe#sandbox").element_handle().content_frame()
        assert frame is not None
        inside = cls(page, frame, console)
        expect(inside.status).to_have_text("Ready", timeout=PATIENCE_MS)
        return inside

    @property
    def status(self) -> Locator:
        return self.frame.locator(".inspect-status")

    @property
    def rows(self) -> Locator:
        return self.frame.get_by_role("grid").locator("tbody tr")

    @property
    def press(self) -> Locator:
        return self.frame.locator(".inspect-line button")

    def look(self, step: str = "4") -> None:
        self.frame.get_by_label("Layers").select_option(step)
        self.press.click()
        expect(self.status).to_contain_text("layers", timeout=PATIENCE_MS)


@pytest.fixture
def inside(browser: Browser, server: Server) -> Iterator[Inside]:
    with browser.new_context() as context:
        yield Inside.open(context.new_page(), server)


def test_the_table_says_what_each_layer_would_say_next(inside: Inside, server: Server) -> None:
    server.hits.clear()
    inside.look()
    path = find("smollm2")
    assert path is not None
    with Model.open(path) as model, model.session() as session:
        ids = model.tokenizer.encode(SAMPLE, special=False)
        layers = [29, 25, 21, 17, 13, 9, 5, 1]
        session.tap([(Site.RESIDUAL, layer) for layer in layers])
        session.eval(ids)
        behind = [session.tapped(i) for i in range(len(layers))]
        # Two threads add up in another order: only clear guesses are compared.
        clear = 0
        for i, rows in enumerate(behind):
            shown = inside.rows.nth(i).locator("td").all_inner_texts()
            assert inside.rows.nth(i).locator("th").inner_text() == str(layers[i])
            session.lens(rows)
            for row, text in enumerate(shown):
                (first, best), (_, second) = session.top(2, row)
                if best - second < 0.5:
                    continue
                clear += 1
                word = model.tokenizer.decode([first], special=True).decode()
                assert text == word.replace(" ", "·").replace("\n", "↵")
        assert clear > len(layers)
    assert inside.rows.first.locator("td").last.inner_text() == "·Paris"
    assert server.fetched() == []
    assert [line for line in inside.console if "No available adapters" not in line] == []


def test_a_cell_is_chosen_by_click_and_keys(inside: Inside) -> None:
    inside.look()
    inside.rows.first.locator("td").last.click()
    detail = inside.frame.locator(".lens-detail")
    expect(detail.get_by_role("heading")).to_have_text("After “·is”, behind layer 29")
    expect(detail.locator("li").first).to_contain_text("·Paris")
    assert detail.locator("li").count() == 8
    keys = inside.page.keyboard
    keys.press("ArrowDown")
    expect(detail.get_by_role("heading")).to_have_text("After “·is”, behind layer 25")
    keys.press("ArrowLeft")
    keys.press("ArrowRight")
    keys.press("ArrowRight")  # there is none: nothing changes
    expect(detail.get_by_role("heading")).to_have_text("After “·is”, behind layer 25")
    keys.press("Home")
    expect(detail.get_by_role("heading")).to_have_text("After “The”, behind layer 25")
    expect(inside.frame.locator("td[aria-selected=true]")).to_be_focused()
    assert inside.frame.locator("td[tabindex='0']").count() == 1


def test_it_stops_and_looks_again(inside: Inside) -> None:
    inside.frame.get_by_label("Text").fill("word " * 200)
    inside.press.click()
    expect(inside.press).to_have_text("Stop")
    inside.press.click()
    expect(inside.status).to_have_text("Stopped")
    expect(inside.press).to_have_text("Look inside")
    inside.frame.get_by_label("Text").fill("Hello")
    inside.look()
    expect(inside.status).to_have_text("Tokens: 1, layers: 8")


def test_it_is_accessible_in_both_themes(inside: Inside) -> None:
    inside.look()
    inside.rows.first.locator("td").first.click()
    for scheme in ("light", "dark"):
        inside.page.emulate_media(color_scheme=scheme)
        inside.frame.evaluate(AXE)
        found = inside.frame.evaluate("axe.run().then(({violations}) => violations)")
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == []


def test_it_speaks_the_languages_of_the_page(browser: Browser, folders: Folders) -> None:
    arabic = make_site(page="inspect", lang="ar")
    with serve(create_app(folders, site=arabic)) as site, browser.new_context() as context:
        page = context.new_page()
        page.goto(site.url)
        frame = page.locator("iframe#sandbox").element_handle().content_frame()
        assert frame is not None
        expect(frame.locator(".inspect-status")).to_have_text("جاهز", timeout=PATIENCE_MS)
        assert frame.evaluate("document.documentElement.dir") == "rtl"
