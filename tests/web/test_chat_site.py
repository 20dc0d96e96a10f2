"""A site's own words and looks in the chat, and the chat in each of its languages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from slmweb.server.icons import read_icon
from slmweb.server.site import LANGUAGES, Site
from tests.web.chat_page import open_chat
from tests.web.test_chat_access import AXE

ROOT = Path(__file__).resolve().parents[2]
FULL = {"size": 98e6, "usage": 2e6, "quota": 5e6}

SITE = Site(
    title="Hafenklinik",
    headline="Fragen Sie vor dem Besuch.",
    intro="Auskunft der Hafenklinik, ohne dass jemand mitliest.",
    examples=("Was bringe ich zur Aufnahme mit?", "Wann ist Besuchszeit?"),
    system_prompt="Du gibst Auskunft für die Hafenklinik.\nRate nie zu Medikamenten.",
    lang="de",
    accent=("#005a9c", "#7fc4ff"),
)


def test_the_first_screen_says_what_the_site_says(page: Page) -> None:
    chat = open_chat(page, site=SITE)
    expect(chat.frame.get_by_role("heading", level=1)).to_have_text(SITE.headline or "")
    expect(chat.frame.locator(".intro")).to_have_text(SITE.intro or "")
    # That the model is often wrong is said all the same.
    expect(chat.frame.locator(".pitch")).to_contain_text("irrt sich oft")
    expect(chat.frame.locator(".lines li")).to_have_text(list(SITE.examples))
    chat.frame.get_by_role("button", name=SITE.examples[1]).click()
    expect(chat.frame.locator(".question")).to_have_text(SITE.examples[1])


def test_a_sites_instructions_are_sent_and_can_be_read_and_changed(page: Page) -> None:
    chat = open_chat(page, site=SITE)
    field = chat.frame.locator("#message")
    field.fill("Wann?")
    field.press("Enter")
    system = {"role": "system", "content": SITE.system_prompt}
    assert chat.last_request()["messages"][0] == system
    chat.answer("Um drei.")
    chat.frame.get_by_role("button", name="Über SmolLM2 135M Instruct").click()
    expect(chat.frame.locator(".instructions")).to_have_text(SITE.system_prompt or "")
    chat.page.keyboard.press("Escape")
    chat.frame.get_by_role("button", name="Einstellungen").click()
    prompt = chat.frame.get_by_label("Systemanweisung")
    expect(prompt).to_have_value(SITE.system_prompt or "")
    prompt.fill("")
    chat.page.keyboard.press("Escape")
    field.fill("Und?")
    field.press("Enter")
    assert [m["role"] for m in chat.last_request()["messages"]] == ["user", "assistant", "user"]


def test_words_of_a_site_are_text_in_the_chat(page: Page) -> None:
    evil = "<img src=x onerror=alert(1)><b>bold</b>"
    site = Site(headline=evil, intro=evil, examples=(evil,), system_prompt=evil)
    chat = open_chat(page, site=site)
    expect(chat.frame.get_by_role("heading", level=1)).to_have_text(evil)
    assert chat.frame.locator(".welcome :is(img, b)").count() == 0
    assert chat.console == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_sites_colour_and_icon_are_the_pages_and_can_be_read(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    icon = read_icon(ROOT / "web/static/icon.svg")
    chat = open_chat(page, site=Site(accent=("#8a1c5c", "#f7a8d8"), icon=icon))
    chat.ask("One?", "Two.")
    who = chat.frame.locator(".assistant .who")
    colour = "rgb(138, 28, 92)" if scheme == "light" else "rgb(247, 168, 216)"
    expect(who).to_have_css("color", colour)
    width = "(image) => image.naturalWidth"
    assert chat.frame.locator("img.mark").evaluate(width) == 96
    chat.frame.locator("#message").fill("x")
    chat.frame.evaluate(AXE)
    violations = chat.frame.evaluate(
        "async () => (await axe.run(document, { iframes: false })).violations.map(({ id }) => id)"
    )
    assert violations == []
    assert chat.console == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_site_chooses_the_language_whatever_the_visitor_speaks(page: Page, language: str) -> None:
    chat = open_chat(page, site=Site(lang=language))
    root = chat.frame.locator("html")
    expect(root).to_have_attribute("lang", language)
    expect(root).to_have_attribute("dir", "rtl" if language == "ar" else "ltr")


@pytest.mark.parametrize("storage", [{"code": "keeps_no_files"}, {"code": "storage_full", **FULL}])
@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_what_the_engine_and_the_store_have_to_say_is_in_the_pages_language(
    page: Page, language: str, storage: dict[str, Any]
) -> None:
    room = {"n_ctx": 512, "wanted": 2048, "needed": 454e6, "available": 429e6}
    codes = (
        {"code": "plain_simd"},
        {"code": "not_isolated"},
        {"code": "few_addresses", "bytes": 1e9},
    )
    chat = open_chat(
        page,
        site=Site(lang=language),
        models=[{"source": None, "good_for": None}],
        roomNotice={"code": "context_by_device", **room, "device_memory": 1},
        notice=storage,
        info={"variant_notices": list(codes), "types": {}},
    )
    expect(chat.frame.locator(".opening-note")).to_contain_text("429")
    shown = [chat.frame.locator(".opening-note").inner_text()]
    for opener, panel in ((".top .model", "#card"), (".tools button:nth-child(4)", "#settings")):
        chat.frame.locator(opener).click()
        shown.append(chat.frame.locator(panel).inner_text())
        chat.page.keyboard.press("Escape")
    card, settings = shown[1:]
    assert "429" in card
    assert "COOP" in card
    assert "COOP" in settings
    # Words that no sentence of ours in English does without, and no other language has.
    english = re.compile(r"\b(the|this|it|has|of|with|which)\b", re.I)
    assert [english.findall(text) for text in shown] == [[], [], []]


@pytest.mark.parametrize(
    ("visitor", "word", "size"),
    [
        ("de-AT", "Einstellungen", "97,9 MB"),
        ("hi-IN", "सेटिंग", "97.9 MB"),
        ("fr-FR", "Settings", "97.9 MB"),
    ],
)
def test_else_the_visitor_does_and_numbers_are_written_as_there(
    playwright: Playwright,
    browser_type_launch_args: dict[str, Any],
    visitor: str,
    word: str,
    size: str,
) -> None:
    # A context's locale reaches a frame of opaque origin only after its script has run.
    args = [*browser_type_launch_args["args"], f"--accept-lang={visitor}", f"--lang={visitor}"]
    browser = playwright.chromium.launch(**{**browser_type_launch_args, "args": args})
    models = [{"stored": False, "size": 97.9e6}, {"name": "b", "stored": False}]
    chat = open_chat(browser.new_page(), models=models)
    expect(chat.frame.get_by_role("button", name=word, exact=True)).to_be_visible()
    expect(chat.frame.locator(".lines li").first).to_contain_text(size)
    browser.close()


@pytest.mark.parametrize("width", [360, 1200])
def test_from_right_to_left_everything_stands_mirrored(browser: Browser, width: int) -> None:
    with browser.new_context(viewport={"width": width, "height": 740}) as context:
        chat = open_chat(context.new_page(), site=Site(lang="ar"))
        chat.ask("اشرح ذلك", "حسناً.")
        chat.frame.locator(".turn.assistant").hover()
        chat.frame.get_by_role("button", name="الإعدادات").click()
        places = chat.frame.evaluate(
            """() => {
              const box = (name) => document.querySelector(name).getBoundingClientRect();
              const { x, right } = box('dialog[open]');
              return { panel: [x, right], model: box('.top .model').x, tools: box('.tools').x,
                       send: box('.send').x, field: box('#message').x,
                       wide: document.documentElement.scrollWidth };
            }"""
        )
        assert places["panel"][0] == 0
        assert places["model"] > places["tools"]
        assert places["send"] < places["field"]
        assert places["wide"] == width
