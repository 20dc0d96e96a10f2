"""The released page of a site with a guard, whole: two models in one frame, of which one screens
the other. SmolLM2 is both, and thresholds that are certain make it refuse all or nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from slmweb.pack.pack import pack
from slmweb.server.app import Folders, create_app
from slmweb.server.site import make_site
from tests.goldens.real_models import find
from tests.web.serving import Site, serve
from tests.web.test_page import CHUNK, PATIENCE_MS, Chat

Served = Callable[..., AbstractContextManager[Site]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    path = find("smollm2")
    assert path is not None
    for name, title in (("talker", "Talker 135M"), ("checker", "Checker 135M")):
        pack([path], folder / name, name=name, title=title, with_known_answer=False)
    return folder


@pytest.fixture
def served(models: Path, tmp_path: Path) -> Served:
    def with_guard(table: str, **given: str) -> AbstractContextManager[Site]:
        (tmp_path / "site.toml").write_text(f'[guard]\nmodel = "checker"\n{table}\n')
        default = Folders.default(models)
        return serve(create_app(default, site=make_site(tmp_path / "site.toml", **given)))

    return with_guard


def test_a_refusing_guard_lets_nothing_through(browser: Browser, served: Served) -> None:
    rule = 'policies = [{name = "No questions", text = "Nothing may be asked."}]\nthreshold = 0'
    with served(rule) as site, browser.new_context() as context:
        chat = Chat.open(context.new_page(), site)
        # Together they are more than is fetched unasked.
        chat.frame.get_by_role("button", name="Download").first.click(timeout=PATIENCE_MS)
        chat.ready("Talker")
        site.hits.clear()
        chat.send("Why is the sky blue?")
        box = chat.frame.locator(".refusal")
        expect(box).to_contain_text(
            "your message breaks the rule “No questions”", timeout=PATIENCE_MS
        )
        expect(chat.answers.locator(".prose")).to_be_empty()
        assert site.fetched() == []
        # Nobody has to download it again.
        chat.page.reload()
        again = Chat.of(chat.page)
        again.ready("Talker")
        assert site.paths(CHUNK) == []


def test_what_keeps_the_rules_is_answered(browser: Browser, served: Served) -> None:
    with served('policies = ["hate"]\nthreshold = 1') as site, browser.new_context() as context:
        chat = Chat.open(context.new_page(), site)
        chat.frame.get_by_role("button", name="Download").first.click(timeout=PATIENCE_MS)
        chat.ready("Talker")
        chat.send("Say hello in one word.")
        answer = chat.answers.first.locator(".prose")
        expect(answer).not_to_be_empty(timeout=2 * PATIENCE_MS)
        expect(chat.frame.locator(".refusal")).to_have_count(0)


def test_in_the_editor_a_refusal_is_no_suggestion(browser: Browser, served: Served) -> None:
    with served("threshold = 0", page="editor") as site, browser.new_context() as context:
        page = context.new_page()
        page.goto(site.url)
        frame = page.frame_locator("iframe#sandbox")
        frame.get_by_role("button", name="Download").first.click(timeout=PATIENCE_MS)
        status = frame.locator(".editor-status")
        expect(status).to_have_text("Ready", timeout=PATIENCE_MS)
        frame.get_by_role("textbox", name="Code").press("Control+Space")
        expect(status).to_have_text("Nothing to suggest", timeout=PATIENCE_MS)
        expect(frame.locator(".ghost")).to_have_count(0)


def test_without_its_guard_no_model_is_opened(browser: Browser, served: Served) -> None:
    with served("") as site, browser.new_context() as context:
        page = context.new_page()
        page.route("**/models/checker/manifest.json", lambda route: route.fulfill(status=404))
        chat = Chat.open(page, site)
        chat.frame.get_by_role("button", name="Download").first.click(timeout=PATIENCE_MS)
        expect(chat.frame.locator(".failure")).to_be_visible(timeout=PATIENCE_MS)
