"""Choosing between a site's models in the header, and removing any of them from the device."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

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
    chat.frame.locator("#picker .models li").first.get_by_role("button", name="Remove").click()
    line = chat.frame.locator("#picker .models li").first
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
    chat.frame.locator("#card").get_by_role("button", name="Remove Half 1B").click()
    expect(chat.frame.locator("#card .models li")).to_contain_text("not on this device")
    assert chat.frame.evaluate("mock.removed") == ["half"]
    chat.page.keyboard.press("Escape")
    expect(chat.frame.get_by_role("progressbar")).to_have_count(0)
    offer = chat.frame.locator(".lines").get_by_role("button", name="Half 1B")
    expect(offer).to_contain_text("Download 800 MB")


def test_the_picker_is_there_in_every_language_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    for language in LANGUAGES:
        chat = open_chat(page, models=MODELS, site=Site(lang=language))
        chat.frame.locator(".pick").click()
        expect(chat.frame.locator("#picker .models li")).to_have_count(4)
        wide = "document.querySelector('.app').scrollWidth"
        assert (language, chat.frame.evaluate(wide)) == (language, 320)
