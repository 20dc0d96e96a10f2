"""What becomes of conversations: kept in the tab, undone, saved, opened, warned about.

The frame has no storage of its own; what it hands to the shell here is seen by
the mock host, and what the shell makes of it by test_page_talks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.chat_page import ChatPage, message_field, open_chat


def button(chat: ChatPage, name: str) -> Locator:
    return chat.frame.get_by_role("button", name=name, exact=True)


def words(chat: ChatPage) -> Locator:
    return chat.frame.locator(".turn .prose, .turn .question")


def talks(chat: ChatPage) -> Locator:
    button(chat, "Conversations").click()
    return chat.frame.get_by_role("dialog", name="Conversations")


# ---- several in one tab


@pytest.mark.parametrize("how", ["button", "keys"])
def test_a_new_chat_keeps_the_one_before_and_can_be_undone(chat: ChatPage, how: str) -> None:
    chat.ask("One?", "First.")
    if how == "button":
        button(chat, "New chat").click()
    else:
        message_field(chat).press("Control+Shift+O")
    expect(words(chat)).to_have_count(0)
    button(chat, "Undo").click()
    expect(words(chat)).to_have_text(["One?", "First."])
    expect(message_field(chat)).to_be_focused()


def test_former_conversations_are_listed_gone_back_to_and_gone_on_with(chat: ChatPage) -> None:
    chat.ask("One?", "First.")
    button(chat, "New chat").click()
    chat.ask("Two?", "Second.")
    panel = talks(chat)
    expect(panel.get_by_role("listitem")).to_contain_text(["Two?", "One?"])
    panel.get_by_role("button", name="Open: One?").click()
    expect(panel).to_be_hidden()
    expect(words(chat)).to_have_text(["One?", "First."])
    chat.ask("More?", "Third.")
    assert [m["content"] for m in chat.last_request()["messages"]] == ["One?", "First.", "More?"]
    # An empty chat is nothing to keep.
    button(chat, "New chat").click()
    button(chat, "New chat").click()
    expect(talks(chat).get_by_role("listitem")).to_have_count(2)


def test_a_deleted_conversation_can_be_put_back(chat: ChatPage) -> None:
    chat.ask("One?", "First.")
    panel = talks(chat)
    panel.get_by_role("button", name="Delete: One?").click()
    expect(panel.get_by_role("listitem")).to_have_count(0)
    expect(words(chat)).to_have_count(0)
    undo = panel.get_by_role("button", name="Undo")
    expect(undo).to_be_focused()
    undo.click()
    expect(panel.get_by_role("listitem")).to_have_count(1)
    expect(words(chat)).to_have_text(["One?", "First."])


def test_an_answer_that_one_leaves_behind_stops_and_keeps_its_words(chat: ChatPage) -> None:
    chat.send("Count")
    chat.mock("emit('One, two')")
    button(chat, "New chat").click()
    chat.ask("Two?", "Second.")
    expect(words(chat)).to_have_text(["Two?", "Second."])
    talks(chat).get_by_role("button", name="Open: Count").click()
    expect(words(chat)).to_have_text(["Count", "One, two"])
    expect(chat.frame.locator(".turn.assistant")).to_contain_text("Stopped.")


# ---- the shell's one bit, and what it keeps


def test_the_shell_is_told_by_one_bit_that_something_would_be_lost(chat: ChatPage) -> None:
    unsaved = "mock.unsaved"
    assert chat.frame.evaluate(unsaved) is False
    message_field(chat).fill("a thought")
    assert chat.frame.evaluate(unsaved) is True
    message_field(chat).fill(" ")
    assert chat.frame.evaluate(unsaved) is False
    chat.ask("One?", "First.")
    assert chat.frame.evaluate(unsaved) is True
    button(chat, "New chat").click()
    assert chat.frame.evaluate(unsaved) is True
    panel = talks(chat)
    panel.get_by_role("button", name="Delete: One?").click()
    assert chat.frame.evaluate(unsaved) is False


def test_choices_are_kept_as_values_of_lists(chat: ChatPage) -> None:
    button(chat, "Switch to dark colours").click()
    assert chat.frame.evaluate("mock.kept.theme") == "dark"
    button(chat, "Settings").first.click()
    settings = chat.frame.get_by_role("dialog", name="Settings")
    settings.get_by_role("textbox", name="System prompt").fill("a secret")
    exact = settings.get_by_role("spinbutton", name="Temperature")
    exact.fill("0.7312")
    exact.press("Tab")
    settings.get_by_role("checkbox").check()
    settings.get_by_role("button", name="Close").click()
    assert chat.frame.evaluate("mock.kept") == {
        "theme": "dark", "n_ctx": None, "threads": None, "backend": None, "matvec": None,
        "drop_oldest": True, "model": "smollm2-135m-instruct-q4_1", "temperature": 0.75,
        "top_p": None, "top_k": None, "min_p": None, "repeat_penalty": None, "max_tokens": None,
    }  # fmt: skip


def test_kept_choices_are_those_that_the_page_starts_with(shared_page: Page) -> None:
    kept: dict[str, Any] = {
        "theme": "dark", "n_ctx": 4096, "threads": 1, "drop_oldest": True,
        "model": "smollm2-135m-instruct-q4_1", "temperature": 0.75, "top_k": 7,
    }  # fmt: skip
    chat = open_chat(shared_page, preferences=kept)
    paper = "getComputedStyle(document.body).backgroundColor"
    assert chat.frame.evaluate(paper) == "rgb(16, 20, 19)"
    expect(chat.frame.get_by_text("0 / 4,096 context")).to_be_visible()
    chat.ask("Hello", "Hi")
    request = chat.last_request()
    wanted = {"temperature": 0.75, "top_k": 7, "top_p": 0.9, "context_overflow": "drop_oldest"}
    assert {name: request[name] for name in wanted} == wanted
    # Another model has its own.
    other = open_chat(shared_page, preferences={**kept, "model": "another"})
    other.ask("Hello", "Hi")
    assert (other.last_request()["temperature"], other.last_request()["top_k"]) == (0.2, 40)


# ---- files

SPOKEN = "A list:\n\n**You:**\n\n\\**Odd:**\n- one"


def saved(chat: ChatPage, kind: str, folder: Path) -> Path:
    panel = talks(chat)
    with chat.page.expect_download() as download:
        panel.get_by_role("button", name=kind).click()
    target = folder / download.value.suggested_filename
    download.value.save_as(target)
    panel.get_by_role("button", name="Close").click()
    return target


def open_file(chat: ChatPage, path: Path) -> None:
    panel = talks(chat)
    with chat.page.expect_file_chooser() as chooser:
        panel.get_by_role("button", name="Open a file").click()
    chooser.value.set_files(path)


@pytest.mark.parametrize(("kind", "suffix"), [("Markdown", ".md"), ("JSON", ".json")])
def test_a_conversation_is_saved_and_comes_back_from_its_file(
    chat: ChatPage, tmp_path: Path, kind: str, suffix: str
) -> None:
    chat.ask("One?", SPOKEN)
    button(chat, "Retry").click()
    chat.answer("Another.")
    button(chat, "Earlier version").click()
    chat.ask("And?", "Second.")
    path = saved(chat, kind, tmp_path)
    assert path.suffix == suffix
    text = path.read_text()
    again = open_chat(chat.page)
    open_file(again, path)
    expect(words(again)).to_have_count(4)
    again.ask("Now?", "Third.")
    contents = [message["content"] for message in again.last_request()["messages"]]
    assert contents == ["One?", SPOKEN, "And?", "Second.", "Now?"]
    expect(again.frame.get_by_text("1 / 2", exact=True)).to_have_count(1 if kind == "JSON" else 0)
    assert ("Another." in text) == (kind == "JSON")
    assert again.requests == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"just words",
        b"{",
        b"{}",
        b'{"format": "slmweb-conversation", "version": 2, "turns": []}',
        b"**You:**\n\nHi\n\n**You:**\n\nHi",
        b"\xff\xfe\x00",
        json.dumps({
            "format": "slmweb-conversation", "version": 1,
            "turns": [{"role": "user", "who": "You", "text": "a", "parent": 0, "chosen": True,
                       "cut": None}],
        }).encode(),
        json.dumps({
            "format": "slmweb-conversation", "version": 1,
            "turns": [{"role": "assistant", "who": "x", "text": "a", "parent": None,
                       "chosen": True, "cut": None}],
        }).encode(),
    ],
)  # fmt: skip
def test_a_file_that_is_no_conversation_is_refused_and_nothing_is_lost(
    chat: ChatPage, tmp_path: Path, content: bytes
) -> None:
    chat.ask("One?", "First.")
    path = tmp_path / "other.json"
    path.write_bytes(content)
    open_file(chat, path)
    expect(chat.frame.get_by_role("dialog").get_by_role("alert")).to_contain_text("file")
    expect(words(chat)).to_have_text(["One?", "First."])


def drop(chat: ChatPage, name: str, content: str) -> None:
    """Drops a file on the page, `content` being an expression of JavaScript."""
    chat.frame.evaluate(
        f"""() => {{
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([{content}], {json.dumps(name)}));
          document.querySelector('main').dispatchEvent(
            new DragEvent('drop', {{ dataTransfer, bubbles: true, cancelable: true }}));
        }}"""
    )


def test_a_dropped_text_file_is_read_into_the_question(chat: ChatPage) -> None:
    message_field(chat).fill("Explain:")
    drop(chat, "tide.py", json.dumps("def tide():\n    '''```'''\n```\n"))
    wanted = "Explain:\n\ntide.py:\n\n````py\ndef tide():\n    '''```'''\n```\n````\n\n"
    expect(message_field(chat)).to_have_value(wanted)
    expect(message_field(chat)).to_be_focused()
    assert chat.frame.evaluate("mock.requests.length") == 0


def test_a_pasted_file_is_read_too(chat: ChatPage) -> None:
    chat.frame.evaluate(
        """() => {
          const clipboardData = new DataTransfer();
          clipboardData.items.add(new File(['a,b'], 'x.csv'));
          document.querySelector('#message').dispatchEvent(
            new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }));
        }"""
    )
    expect(message_field(chat)).to_have_value("x.csv:\n\n```csv\na,b\n```\n\n")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("'x'.repeat(300000)", "x.bin has 300 kB, and at most 256 kB are read"),
        ("new Uint8Array([255, 254, 7])", "x.bin is no text file"),
        ("'a\\0b'", "x.bin is no text file"),
    ],
)
def test_a_dropped_file_that_is_no_text_or_too_much_is_refused_by_name(
    chat: ChatPage, content: str, said: str
) -> None:
    message_field(chat).fill("Explain:")
    drop(chat, "x.bin", content)
    expect(chat.frame.get_by_text(said).first).to_be_visible()
    expect(message_field(chat)).to_have_value("Explain:")


def test_a_dropped_conversation_is_opened(chat: ChatPage, tmp_path: Path) -> None:
    chat.ask("One?", "First.")
    text = saved(chat, "JSON", tmp_path).read_text()
    again = open_chat(chat.page)
    drop(again, "chat.json", json.dumps(text))
    expect(words(again)).to_have_text(["One?", "First."])


# ---- how much fits


def context(chat: ChatPage) -> Locator:
    return chat.frame.locator(".meter-figures")


def test_the_context_figure_is_that_of_the_branch_shown(chat: ChatPage) -> None:
    chat.mock("past = 99")
    chat.ask("One?", "First.")
    expect(context(chat)).to_contain_text("100 / 2,048")
    chat.mock("past = 299")
    chat.ask("Two?", "Second.")
    expect(context(chat)).to_contain_text("300 / 2,048")
    chat.frame.locator(".turn.user").first.hover()
    chat.frame.locator(".turn.user").first.get_by_role("button", name="Edit").click()
    field = chat.frame.get_by_role("textbox", name="Edit your message")
    field.fill("Other?")
    chat.mock("past = 49")
    field.press("Enter")
    chat.answer("Third.")
    expect(context(chat)).to_contain_text("50 / 2,048")
    button(chat, "Earlier version").click()
    expect(context(chat)).to_contain_text("300 / 2,048")
    button(chat, "New chat").click()
    expect(context(chat)).to_contain_text("0 / 2,048")
    button(chat, "Undo").click()
    expect(context(chat)).to_contain_text("300 / 2,048")


def test_what_a_message_would_add_is_told_before_it_is_sent(chat: ChatPage) -> None:
    chat.mock("past = 99")
    chat.ask("One?", "First.")
    message_field(chat).fill("x" * 94)
    expect(context(chat)).to_contain_text("100 + about 100 / 2,048 context")
    message_field(chat).fill("")
    expect(context(chat)).to_contain_text("100 / 2,048 context")
    message_field(chat).fill("x" * 2000)
    advice = chat.frame.locator(".advice")
    expect(advice).to_contain_text("about 2,106 tokens, and the context holds 2,048")
    advice.get_by_role("button", name="Use 4,096 tokens").click()
    expect(context(chat)).to_contain_text("100 + about 2,006 / 4,096 context")
    expect(message_field(chat)).to_have_value("x" * 2000)
    expect(advice).to_be_hidden()


@pytest.mark.parametrize(("past", "told"), [(1637, False), (1638, True)])
def test_a_context_that_fills_is_told_from_four_fifths(
    chat: ChatPage, past: int, told: bool
) -> None:
    chat.mock(f"past = {past}")
    chat.ask("One?", "First.")
    advice = chat.frame.locator(".advice")
    if told:
        expect(advice).to_contain_text("The context is 80% full.")
        expect(advice.get_by_role("button", name="Use 4,096 tokens")).to_be_visible()
    else:
        expect(context(chat)).to_contain_text("1,638 / 2,048")
        expect(advice).to_be_hidden()


def test_a_prompt_that_was_cached_has_no_speed(chat: ChatPage) -> None:
    chat.mock("cached = 1000")
    chat.ask("One?", "First.")
    figures = chat.frame.locator(".figures").last
    expect(figures).to_contain_text("prompt cached")
    expect(figures).not_to_contain_text("820")


def test_versions_are_counted_in_sight_without_a_hover(chat: ChatPage) -> None:
    chat.ask("One?", "First.")
    button(chat, "Retry").click()
    chat.answer("Second.")
    chat.ask("Two?", "Third.")
    chat.page.mouse.move(0, 0)
    counter = chat.frame.get_by_text("2 / 2")
    hidden = "(e) => e !== null && (getComputedStyle(e).opacity === '0' || f(e.parentElement))"
    assert counter.evaluate(f"(element) => {{ const f = {hidden}; return f(element); }}") is False
