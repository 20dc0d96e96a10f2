"""The chat by keyboard and by input method: what the keys do, and where the focus is."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.web.chat_page import ChatPage, message_field, open_chat


def test_shift_enter_breaks_the_line_and_enter_sends(chat: ChatPage) -> None:
    field = message_field(chat)
    field.press_sequentially("one")
    field.press("Shift+Enter")
    field.press_sequentially("two")
    assert field.input_value() == "one\ntwo"
    field.press("Enter")
    assert chat.last_request()["messages"] == [{"role": "user", "content": "one\ntwo"}]
    expect(field).to_have_value("")
    expect(field).to_be_focused()


def test_nothing_is_sent_when_the_field_is_empty(chat: ChatPage) -> None:
    field = message_field(chat)
    field.press("Enter")
    field.fill("   ")
    field.press("Enter")
    expect(chat.frame.locator(".turn")).to_have_count(0)


@pytest.mark.parametrize("end", ["answered", "stopped", "failed", "changed", "not yet"])
def test_enter_while_an_answer_is_written_waits_for_its_end(chat: ChatPage, end: str) -> None:
    chat.send("How do tides work?")
    chat.mock("emit('Tides **rise** and')")
    field = message_field(chat)
    field.fill("next")
    field.press("Enter")
    note = chat.frame.get_by_text("It will be sent when the answer has ended.").first
    expect(note).to_be_visible()
    expect(field).to_have_value("next")
    assert chat.frame.evaluate("mock.requests.length") == 1
    if end == "changed":
        field.press("!")
    elif end == "not yet":
        chat.frame.get_by_role("button", name="Not yet").click()
        expect(field).to_be_focused()
    if end == "stopped":
        field.press("Escape")
        chat.drawn()
    elif end == "failed":
        chat.mock("fail('invalid_argument', 'No.')")
    else:
        chat.mock("finish()")
    expect(chat.frame.locator(".queue")).to_be_hidden()
    sent = end == "answered"
    expect(field).to_have_value("" if sent else "next!" if end == "changed" else "next")
    assert chat.frame.evaluate("mock.requests.length") == (2 if sent else 1)


def test_a_touch_keyboard_breaks_lines_and_the_button_sends(browser: Browser) -> None:
    with browser.new_context(
        viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True
    ) as context:
        chat = open_chat(context.new_page())
        field = message_field(chat)
        expect(field).to_have_attribute("enterkeyhint", "enter")
        field.press_sequentially("one")
        field.press("Enter")
        field.press_sequentially("two")
        expect(field).to_have_value("one\ntwo")
        chat.frame.get_by_role("button", name="Send", exact=True).tap()
        assert chat.last_request()["messages"] == [{"role": "user", "content": "one\ntwo"}]
        # A keyboard that has the key for it sends all the same.
        chat.answer("Good.")
        field.fill("three")
        field.press("Control+Enter")
        chat.drawn()
        assert chat.last_request()["messages"][-1]["content"] == "three"


def focused(chat: ChatPage) -> str:
    """What has the focus, in words; the page itself is "BODY"."""
    chat.drawn()
    name: str = chat.frame.evaluate(
        """() => {
          const { activeElement: element } = document;
          const label = element?.getAttribute('aria-label') ?? element?.textContent ?? '';
          return element === document.body ? 'BODY' : `${element?.tagName} ${label.slice(0, 40)}`;
        }"""
    )
    return name


def test_the_focus_never_falls_to_the_page(chat: ChatPage) -> None:
    frame = chat.frame

    def press(name: str, place: Locator | None = None) -> None:
        control = (place or frame).get_by_role("button", name=name, exact=True).last
        control.focus()
        control.press("Enter")
        assert (name, focused(chat)) != (name, "BODY")

    def key(keys: str) -> None:
        chat.page.keyboard.press(keys)
        assert (keys, focused(chat)) != (keys, "BODY")

    assert focused(chat) == "TEXTAREA Message"
    example = frame.get_by_role("button", name="Why is the sky blue?")
    example.focus()
    example.press("Enter")
    assert focused(chat) == "TEXTAREA Message"
    chat.mock("emit('One')")
    press("Stop")
    press("Continue")
    chat.answer(" two")
    press("Retry")
    chat.answer("Three")
    press("Earlier version")
    press("Later version")
    press("Edit")
    press("Cancel")
    press("Edit")
    key("Escape")
    press("Edit")
    press("Send again")
    chat.mock("emit('Four')")
    chat.mock("finish('length')")
    press("Settings", frame.locator(".remedies"))
    press("Close", frame.locator("dialog[open]"))
    press("Continue")
    chat.mock("fail('crashed', 'It stopped.')")
    assert focused(chat) != "BODY"
    press("Reload the model and try again")
    chat.mock("fail('context_full', 'full', {prompt_tokens: 3000, n_ctx: 2048})")
    press("Use 4,096 tokens and answer")
    chat.answer("Five")
    press("Copy chat")
    theme = frame.get_by_role("button", name="Switch to")
    theme.focus()
    theme.press("Enter")
    assert focused(chat).startswith("BUTTON Switch to")
    press("New chat")
    press("Undo")
    for name in ["Conversations", "Settings", "About SmolLM2 135M Instruct"]:
        control = frame.get_by_role("button", name=name, exact=True).first
        control.focus()
        control.press("Enter")
        assert (name, focused(chat)) != (name, "BODY")
        key("Escape")
    press("Conversations")
    panel = frame.locator("dialog[open]")
    delete = panel.get_by_role("button", name="Delete:")
    delete.focus()
    delete.press("Enter")
    assert focused(chat) != "BODY"
    press("Undo", panel)
    press("Close", panel)
    key("Control+Shift+O")
    key("Control+Shift+Enter")


def test_what_loses_its_place_while_one_is_on_it_hands_the_focus_on(chat: ChatPage) -> None:
    """Not an action of one's own: an answer's end takes the Stop button, a button is disabled."""
    chat.ask("One?", "First.")
    retry = chat.frame.get_by_role("button", name="Retry")
    retry.focus()
    chat.frame.evaluate("document.activeElement.remove()")
    assert focused(chat) == "TEXTAREA Message"
    copy = chat.frame.get_by_role("button", name="Copy chat")
    copy.focus()
    chat.frame.evaluate("document.activeElement.disabled = true")
    assert focused(chat) == "TEXTAREA Message"
    # Who clicks beside everything has chosen so: a growing answer takes nothing from them.
    chat.send("Two?")
    chat.page.mouse.click(5, 300)
    chat.mock("emit('Sec')")
    assert focused(chat) == "BODY"


def test_the_enter_that_ends_a_composition_does_not_send(chat: ChatPage) -> None:
    field = message_field(chat)
    field.focus()
    session = chat.page.context.new_cdp_session(chat.page)
    session.send(
        "Input.imeSetComposition", {"text": "にほん", "selectionStart": 3, "selectionEnd": 3}
    )
    expect(field).to_have_value("にほん")
    field.evaluate(
        """(field) => {
          const enter = { key: 'Enter', bubbles: true, cancelable: true };
          field.dispatchEvent(new KeyboardEvent('keydown', { ...enter, isComposing: true }));
          // Safari's order: the composition is over, and the key code alone tells.
          field.dispatchEvent(new KeyboardEvent('keydown', { ...enter, keyCode: 229 }));
        }"""
    )
    expect(chat.frame.locator(".turn")).to_have_count(0)
    session.send("Input.insertText", {"text": "日本"})
    field.press("Enter")
    expect(chat.frame.locator(".question")).to_have_text("日本")


def test_shortcuts(chat: ChatPage) -> None:
    field = message_field(chat)
    chat.ask("One?", "First.")
    field.press("Control+Shift+Enter")
    chat.answer("Second.")
    expect(chat.frame.locator(".prose")).to_have_text("Second.")
    field.press("ArrowUp")
    edit = chat.frame.get_by_role("textbox", name="Edit your message")
    expect(edit).to_have_value("One?")
    edit.press("Escape")
    chat.page.keyboard.press("/")
    expect(field).to_be_focused()
    expect(field).to_have_value("")
    field.press("Control+Shift+O")
    expect(chat.frame.locator(".turn")).to_have_count(0)
    expect(field).to_be_focused()


def test_every_control_is_reached_by_tab_and_shows_its_focus(chat: ChatPage) -> None:
    chat.ask("One?", "```\ncode\n```")
    chat.frame.get_by_role("button", name="About SmolLM2 135M Instruct").focus()
    reached = []
    for _ in range(20):
        name, outline = chat.frame.evaluate(
            """() => {
              const { activeElement: element } = document;
              const ring = element.closest('.composer') ?? element;
              const label = element.getAttribute('aria-label') ?? element.textContent;
              return [label, getComputedStyle(ring).outlineStyle];
            }"""
        )
        reached.append(name)
        assert (name, outline) == (name, "solid")
        if name == "Message":
            break
        chat.page.keyboard.press("Tab")
    for name in ["New chat", "Settings", "Edit", "Code, text", "Copy", "Retry", "Message"]:
        assert name in reached, reached


# ---- screen readers
