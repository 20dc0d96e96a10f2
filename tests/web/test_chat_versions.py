"""How the chat offers a new version, fetches it and goes back, over a mock model."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.web.chat_page import ChatPage, message_field, open_chat
from tests.web.test_chat_ui import answers, button

UPDATE: dict[str, Any] = {"version": "2026-12", "bytes": 16.3e6, "declined": False}
OFFERED: dict[str, Any] = {"version": "2026-10", "update": UPDATE}
TITLE = "SmolLM2 135M Instruct"


def opened(page: Page, **entry: Any) -> ChatPage:
    return open_chat(page, models=[{**OFFERED, **entry}])


def strip(chat: ChatPage) -> Locator:
    return chat.frame.locator("aside.update")


def spoken(chat: ChatPage) -> Locator:
    return chat.frame.locator("[role=status][aria-live=polite]")


def card(chat: ChatPage) -> Locator:
    chat.frame.get_by_role("button", name=f"About {TITLE}").click()
    return chat.frame.get_by_role("dialog", name="About")


def test_a_new_version_is_offered_without_taking_the_focus(shared_page: Page) -> None:
    chat = opened(shared_page)
    sentence = f"A new version of {TITLE} is there (2026-12, 16.3 MB to fetch)."
    expect(chat.frame.get_by_role("complementary", name="Update")).to_contain_text(sentence)
    expect(spoken(chat)).to_have_text(sentence)
    # Whether the window has the focus already, when nobody has touched it, is the browser's affair.
    chat.drawn()
    assert chat.frame.evaluate("document.activeElement.id") == "message"
    chat.ask("Hello", "Hi")
    assert chat.mock("versions") == []


def test_later_is_for_this_visit(shared_page: Page) -> None:
    chat = opened(shared_page)
    button(chat, "Later").press("Enter")
    expect(strip(chat)).to_be_hidden()
    expect(message_field(chat)).to_be_focused()
    # It can still be had from the model's card.
    card(chat).get_by_role("button", name="Update").click()
    assert chat.mock("versions") == ["update smollm2-135m-instruct-q4_1"]


def test_an_update_runs_beside_the_chat_and_then_opens(shared_page: Page) -> None:
    chat = opened(shared_page)
    button(chat, "Update").press("Enter")
    # The keyboard stays in the strip.
    expect(button(chat, "Cancel")).to_be_focused()
    chat.mock("onProgress({phase: 'download', loaded: 5e6, total: 16e6, rate: 1e6, remaining: 11})")
    expect(strip(chat)).to_contain_text("5.0 MB of 16.0 MB · 11 s left")
    bar = chat.frame.get_by_role("progressbar", name="Update")
    expect(bar).to_have_attribute("aria-valuenow", "31")
    chat.ask("Still there?", "Yes.")
    assert chat.mock("openings.length") == 1
    chat.mock("updated()")
    expect(strip(chat)).to_be_hidden()
    assert chat.mock("openings.length") == 2
    expect(spoken(chat)).to_have_text(f"{TITLE} now runs version 2026-12.")
    expect(answers(chat).locator(".prose")).to_have_text("Yes.")


def test_a_fetched_version_waits_for_the_answer(shared_page: Page) -> None:
    chat = opened(shared_page)
    button(chat, "Update").click()
    chat.send("A long one")
    chat.mock("emit('Once')")
    chat.mock("updated()")
    expect(strip(chat)).to_contain_text("opens when this answer has ended")
    assert chat.mock("openings.length") == 1
    chat.answer(" upon a time.")
    expect(strip(chat)).to_be_hidden()
    assert chat.mock("openings.length") == 2
    expect(answers(chat).locator(".prose")).to_have_text("Once upon a time.")


def test_an_update_can_be_cancelled_and_fail(shared_page: Page) -> None:
    chat = opened(shared_page)
    button(chat, "Update").click()
    button(chat, "Cancel").click()
    expect(button(chat, "Update")).to_be_visible()
    button(chat, "Update").click()
    chat.mock("updateFails('no_room', 'The model needs 98 MB of storage.')")
    expect(strip(chat)).to_contain_text("The model needs 98 MB of storage.")
    button(chat, "Try again").click()
    chat.mock("updated()")
    expect(strip(chat)).to_be_hidden()
    assert chat.mock("versions.length") == 3


def test_going_back_is_in_the_card_and_ends_the_offers(shared_page: Page) -> None:
    previous = {"version": "2026-08", "size": 98e6}
    chat = opened(shared_page, update=None, previous=previous)
    expect(strip(chat)).to_be_hidden()
    lines = card(chat)
    expect(lines).to_contain_text("Version 2026-08on this device, 98.0 MB")
    lines.get_by_role("button", name="Go back to 2026-08").click()
    expect(spoken(chat)).to_have_text(f"{TITLE} now runs version 2026-08.")
    assert chat.mock("openings.length") == 2
    # What one has come back from is not pressed upon anybody.
    expect(strip(chat)).to_be_hidden()
    expect(card(chat)).to_contain_text("Version 2026-10already on this device")


def test_the_version_before_can_be_removed(shared_page: Page) -> None:
    chat = opened(shared_page, update=None, previous={"version": None, "size": 98e6})
    lines = card(chat)
    expect(lines).to_contain_text("Version before")
    expect(lines).to_contain_text("Go back to it")
    lines.get_by_role("button", name="Remove Version before from this device (98.0 MB)").click()
    assert chat.mock("versions") == []
    lines.get_by_role("button", name="Version before: Remove and free 98.0 MB?").click()
    expect(lines).not_to_contain_text("Other versions")
    assert chat.mock("versions") == ["forget smollm2-135m-instruct-q4_1"]


def test_a_version_that_is_refused_is_said_to_be(shared_page: Page) -> None:
    chat = opened(shared_page, update=None, refused="Expected it to be signed, found no signature.")
    expect(strip(chat)).to_contain_text("could not be verified and is not used")
    exact = strip(chat).get_by_text("Expected it to be signed, found no signature.")
    expect(exact).to_be_hidden()
    strip(chat).get_by_text("Details").click()
    expect(exact).to_be_visible()
    button(chat, "Close").click()
    expect(strip(chat)).to_be_hidden()
