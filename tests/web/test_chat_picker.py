"""Choosing between a site's models in the header, and removing any of them from the device."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page, expect

from slmweb.server.site import LANGUAGES, Site
from tests.web.chat_page import ChatPage, open_chat

MODELS: list[dict[str, Any]] = [
    {"good_for": "Short answers in English."},
    {"name": "law", "title": "Law 270M", "stored": True, "kept": 253e6, "good_for": "Statutes."},
    {"name": "half", "title": "Half 1B", "stored": False, "kept": 41e6, "size": 800e6},
    {"name": "far", "title": "Far 1B", "stored": False, "size": 800e6},
]


def open_picker(chat: ChatPage) -> None:
    chat.frame.get_by_role("button", name="Choose a model", exact=True).click()


def test_the_header_offers_the_models_with_what_each_is_good_for(page: Page) -> None:
    chat = open_chat(page, models=MODELS)
    open_picker(chat)
    lines = chat.frame.locator("#picker .models li")
    expect(lines).to_have_count(4)
    for line, words in zip(
        lines.all(),
        [
            ["Short answers in English.", "135 M", "open"],
            ["Statutes.", "on this device, 253 MB"],
            ["Half 1B", "partly on this device, 41.0 MB", "Download 800 MB"],
            ["Far 1B", "not on this device"],
        ],
        strict=True,
    ):
        for text in words:
            expect(line).to_contain_text(text)
    expect(chat.frame.locator("#picker .total")).to_have_text(
        "All models here take 392 MB of this device."
    )
    lines.nth(1).get_by_role("button", name="Open").click()
    expect(chat.frame.locator("#picker")).to_be_hidden()
    expect(chat.frame.locator(".top .name")).to_have_text("Law 270M")


def test_one_model_needs_no_choice(page: Page) -> None:
    chat = open_chat(page)
    expect(chat.frame.locator(".pick")).to_be_hidden()


def test_the_open_model_can_be_removed_and_the_answer_stops(page: Page) -> None:
    chat = open_chat(page, models=MODELS)
    chat.send("Hello")
    chat.mock("emit('Well')")
    open_picker(chat)
    line = chat.frame.locator("#picker .models li").first
    line.get_by_role("button", name="Remove").click()
    chat.mock("emit(' then')")
    assert chat.frame.evaluate("mock.removed") == []
    line.get_by_role("button", name="Remove and free 98.4 MB?").click()
    expect(line).to_contain_text("not on this device")
    assert chat.frame.evaluate("mock.removed") == ["smollm2-135m-instruct-q4_1"]
    chat.page.keyboard.press("Escape")
    expect(chat.frame.locator(".turn .note")).to_have_text("Stopped.")
    expect(chat.frame.locator("#message")).to_be_disabled()


def test_a_download_can_be_given_up_and_removed(page: Page) -> None:
    half = {**MODELS[2], "name": "half"}
    chat = open_chat(page, models=[half], manualOpen=True)
    chat.frame.get_by_role("button", name="Download 800 MB").click()
    expect(chat.frame.get_by_role("progressbar")).to_be_visible()
    chat.frame.locator(".top .model").click()
    card = chat.frame.locator("#card")
    card.get_by_role("button", name="Remove Half 1B from this device (41.0 MB)").click()
    assert chat.frame.evaluate("mock.removed") == []
    card.get_by_role("button", name="Half 1B: Remove and free 41.0 MB?").click()
    expect(chat.frame.locator("#card .models li")).to_contain_text("not on this device")
    assert chat.frame.evaluate("mock.removed") == ["half"]
    chat.page.keyboard.press("Escape")
    expect(chat.frame.get_by_role("progressbar")).to_have_count(0)
    offer = chat.frame.locator(".lines").get_by_role("button", name="Half 1B")
    expect(offer).to_contain_text("Download 800 MB")


ASKS = "Law 270M: Remove and free 253 MB?"
OFFERS = "Remove Law 270M from this device (253 MB)"


def removal(chat: ChatPage) -> Locator:
    """The button of the second model in the picker, which it opens."""
    open_picker(chat)
    remove = chat.frame.locator("#picker .models li").nth(1).locator("[data-action^=remove]")
    expect(remove).to_have_accessible_name(OFFERS)
    return remove


def focused(chat: ChatPage) -> str:
    name: str = chat.frame.evaluate(
        "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
    )
    return name


def test_removing_asks_first_and_tells_screen_readers_how_to_answer(page: Page) -> None:
    chat = open_chat(page, models=MODELS)
    remove = removal(chat)
    remove.focus()
    page.keyboard.press("Enter")
    expect(remove).to_have_text("Remove and free 253 MB?")
    expect(remove).to_have_accessible_name(ASKS)
    expect(remove).to_be_focused()
    # Where it can be heard: what lies outside of an open drawer is silent.
    spoken = chat.frame.locator("#picker [role=status]")
    expect(spoken).to_have_text(f"{ASKS} Press again to remove it, or move on to keep it.")
    assert chat.frame.evaluate("mock.removed") == []
    page.keyboard.press("Enter")
    expect(remove).to_have_count(0)
    assert chat.frame.evaluate("mock.removed") == ["law"]
    expect(spoken).to_have_text("Law 270M is no longer on this device.")
    assert focused(chat) == "Close"
    page.keyboard.press("Escape")
    expect(chat.frame.locator("#picker")).to_be_hidden()


def test_the_question_is_taken_back_by_escape_by_going_on_and_by_closing(page: Page) -> None:
    chat = open_chat(page, models=MODELS)
    remove = removal(chat)
    remove.click()
    page.keyboard.press("Escape")
    expect(remove).to_have_accessible_name(OFFERS)
    expect(remove).to_be_focused()
    expect(chat.frame.locator("#picker")).to_be_visible()

    remove.click()
    page.keyboard.press("Tab")
    expect(remove).to_have_accessible_name(OFFERS)

    # Another question takes the place of the first.
    remove.click()
    other = chat.frame.locator("#picker .models li").nth(2).locator("[data-action^=remove]")
    other.click()
    expect(other).to_have_text("Remove and free 41.0 MB?")
    expect(remove).to_have_accessible_name(OFFERS)

    remove.click()
    chat.frame.locator("#picker").get_by_role("button", name="Close").click()
    expect(removal(chat)).not_to_be_focused()
    assert chat.frame.evaluate("mock.removed") == []


def test_one_decision_is_not_taken_for_two(page: Page) -> None:
    chat = open_chat(page, models=MODELS)
    remove = removal(chat)
    remove.dblclick()
    expect(remove).to_have_accessible_name(ASKS)
    page.keyboard.press("Escape")
    # A second press without a release is what a key that is held down sends.
    page.keyboard.down("Enter")
    page.keyboard.down("Enter")
    expect(remove).to_have_accessible_name(ASKS)
    page.keyboard.up("Enter")
    assert chat.frame.evaluate("mock.removed") == []


def test_the_question_outlives_a_list_that_is_drawn_anew(page: Page) -> None:
    update = {"version": "2026-10", "bytes": 12e6, "declined": False}
    chat = open_chat(page, models=[{**MODELS[0], "update": update}, *MODELS[1:]])
    chat.frame.get_by_role("button", name="Update", exact=True).click()
    remove = removal(chat)
    remove.click()
    before = remove.element_handle()
    chat.mock("onProgress({phase: 'download', loaded: 1, total: 2, rate: null, remaining: null})")
    assert chat.frame.evaluate("(element) => element.isConnected", before) is False
    expect(remove).to_have_accessible_name(ASKS)
    expect(remove).to_be_focused()
    remove.press("Escape")
    expect(remove).to_have_accessible_name(OFFERS)
    assert chat.frame.evaluate("mock.removed") == []


def test_the_picker_is_there_in_every_language_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    for language in LANGUAGES:
        chat = open_chat(page, models=MODELS, site=Site(lang=language))
        chat.frame.locator(".pick").click()
        expect(chat.frame.locator("#picker .models li")).to_have_count(4)
        wide = "document.querySelector('.app').scrollWidth"
        assert (language, chat.frame.evaluate(wide)) == (language, 320)
        # What a model is good for may be in another language; it stands at the page's side.
        side = "getComputedStyle(document.querySelector('#picker .good-for')).textAlign"
        assert chat.frame.evaluate(side) == ("right" if language == "ar" else "left")
        remove = chat.frame.locator("#picker [data-action^=remove]").first
        remove.click()
        expect(remove).to_contain_text("98")
        box, panel = remove.bounding_box(), chat.frame.locator("#picker").bounding_box()
        assert box is not None
        assert panel is not None
        assert panel["x"] <= box["x"]
        assert box["x"] + box["width"] <= panel["x"] + panel["width"], language
