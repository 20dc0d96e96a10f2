"""The choice of a domain in the chat, over a mock model: where it stands, who can
reach it, and what a request then says."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.chat_page import ChatPage, open_chat

ADAPTERS = [
    {"name": "law", "title": "Law", "size": 4_000_000, "loaded": False, "rank": None},
    {"name": "tales", "title": "Old tales", "size": 4_000_000, "loaded": False, "rank": None},
]


@pytest.fixture
def chat(page: Page) -> ChatPage:
    return open_chat(page, adapters=ADAPTERS)


def settings(chat: ChatPage) -> Locator:
    chat.frame.get_by_role("button", name="Settings").click()
    return chat.frame.get_by_role("dialog", name="Settings")


def asked(chat: ChatPage) -> Any:
    chat.ask("What now?", "This.")
    return chat.last_request().get("adapters")


def test_a_model_without_adapters_shows_nothing_of_them(page: Page) -> None:
    chat = open_chat(page)
    assert settings(chat).get_by_role("combobox", name="Domain").count() == 0
    chat.frame.get_by_role("button", name="Close").click()
    assert asked(chat) is None


def test_the_choice_takes_effect_with_the_next_answer(chat: ChatPage) -> None:
    assert asked(chat) == []
    panel = settings(chat)
    choice = panel.get_by_role("combobox", name="Domain")
    assert choice.locator("option").all_inner_texts() == [
        "None, the model alone",
        "Law",
        "Old tales",
    ]
    strength = panel.get_by_role("slider", name="Strength")
    expect(strength).to_be_hidden()
    choice.select_option(label="Old tales")
    expect(strength).to_be_visible()
    exact = panel.get_by_role("spinbutton", name="Strength")
    exact.fill("1.5")
    exact.press("Enter")
    assert strength.input_value() == "1.5"
    panel.get_by_role("button", name="Close").click()
    assert asked(chat) == [{"name": "tales", "scale": 1.5}]
    speakers = chat.frame.locator(".turn.assistant .who").all_inner_texts()
    assert speakers == ["SmolLM2", "SmolLM2 · Old tales"]
    # The model is the same one, opened once.
    assert chat.frame.evaluate("mock.openings.length") == 1


def test_the_header_says_which_domain_answers(chat: ChatPage) -> None:
    badge = chat.frame.locator(".top .domain")
    expect(badge).to_be_hidden()
    settings(chat).get_by_role("combobox", name="Domain").select_option(label="Law")
    expect(badge).to_have_text("Law")
    chat.frame.get_by_role("button", name="Close").click()
    about = "About SmolLM2 135M Instruct, answering in the domain Law"
    expect(chat.frame.get_by_role("button", name=about)).to_be_visible()


def test_the_keyboard_alone_chooses(chat: ChatPage) -> None:
    panel = settings(chat)
    choice = panel.get_by_role("combobox", name="Domain")
    chat.page.keyboard.press("Tab")
    expect(choice).to_be_focused()
    chat.page.keyboard.type("Law")
    assert choice.input_value() == "law"
    chat.page.keyboard.press("Tab")
    chat.page.keyboard.press("Tab")
    slider = panel.get_by_role("slider", name="Strength")
    expect(slider).to_be_focused()
    for _ in range(4):
        chat.page.keyboard.press("ArrowLeft")
    chat.page.keyboard.press("Escape")
    assert asked(chat) == [{"name": "law", "scale": 0.8}]


def test_what_stands_beside_the_controls_belongs_to_them(chat: ChatPage) -> None:
    panel = settings(chat)
    choice = panel.get_by_role("combobox", name="Domain")
    choice.select_option(label="Law")
    for control in (choice, panel.get_by_role("slider", name="Strength")):
        described = control.get_attribute("aria-describedby")
        assert chat.frame.locator(f"#{described}").inner_text()
    slider = panel.get_by_role("slider", name="Strength")
    assert (slider.get_attribute("min"), slider.get_attribute("max")) == ("0", "2")


def test_it_fits_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    long = "Old tales of the sea, told by those who came back"
    chat = open_chat(page, adapters=[{**ADAPTERS[0], "title": long}])
    panel = settings(chat)
    panel.get_by_role("combobox", name="Domain").select_option(label=long)
    panel.get_by_role("button", name="Close").click()
    expect(chat.frame.locator(".top .domain")).to_be_visible()
    width = chat.frame.evaluate("[document.body.scrollWidth, innerWidth]")
    assert width[0] <= width[1]
    tools = chat.frame.locator(".top .tools").bounding_box()
    assert tools is not None
    assert tools["x"] + tools["width"] <= 360
