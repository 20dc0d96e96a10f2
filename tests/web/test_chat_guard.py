"""What the chat page says where a guard has refused, and of the guard itself."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

from tests.web.chat_page import ChatPage, open_chat
from tests.web.test_chat_access import AXE

GUARD = {
    "name": "shieldgemma-2b",
    "title": "ShieldGemma 2B",
    "size": 1_700_000_000,
    "kept": 1_700_000_000,
}


def ask(chat: ChatPage, text: str) -> None:
    chat.frame.locator("#message").fill(text)
    chat.frame.locator("#message").press("Enter")


def test_a_refused_message_says_which_rule_and_can_be_changed(page: Page) -> None:
    chat = open_chat(page, guard=GUARD)
    ask(chat, "Something hateful")
    chat.mock("refuse('prompt', 'hate', 'No recipes')")
    box = chat.frame.locator(".refusal")
    expect(box).to_contain_text("your message breaks the rule “No hate speech”, “No recipes”.")
    expect(box).to_contain_text("on this device")
    expect(chat.frame.locator(".transcript")).not_to_contain_text("Refused in English.")
    expect(chat.frame.get_by_role("status")).to_contain_text("Not answered.")
    box.get_by_role("button", name="Change the message").click()
    field = chat.frame.locator("textarea.edit")
    expect(field).to_be_focused()
    field.fill("Something kind")
    field.press("Enter")
    assert chat.last_request()["messages"] == [{"role": "user", "content": "Something kind"}]


def test_what_was_refused_is_not_asked_again_with_the_next_message(page: Page) -> None:
    chat = open_chat(page, guard=GUARD)
    ask(chat, "Hello")
    chat.answer("Hi.")
    ask(chat, "Something hateful")
    chat.mock("refuse('answer', 'harassment')")
    expect(chat.frame.locator(".refusal")).to_contain_text("the answer breaks the rule")
    ask(chat, "And now?")
    assert [m["content"] for m in chat.last_request()["messages"]] == ["Hello", "Hi.", "And now?"]


def test_a_beginning_whose_rest_was_refused_goes_with_its_question(page: Page) -> None:
    chat = open_chat(page, guard=GUARD)
    ask(chat, "Hello")
    chat.answer("Hi.")
    ask(chat, "A long story")
    chat.mock("emit('Once upon')")
    chat.mock("finish('length')")
    chat.frame.get_by_role("button", name="Continue").click()
    chat.mock("refuse('answer', 'hate')")
    expect(chat.frame.locator(".refusal")).to_be_visible()
    ask(chat, "And now?")
    assert [m["content"] for m in chat.last_request()["messages"]] == ["Hello", "Hi.", "And now?"]


def test_who_reads_the_page_can_see_that_there_is_a_guard(page: Page) -> None:
    chat = open_chat(page, guard=GUARD)
    chat.frame.get_by_role("button", name="About SmolLM2 135M Instruct").click()
    card = chat.frame.locator("dialog[open]")
    expect(card).to_contain_text("ShieldGemma 2B checks messages by the rules of this site")
    line = card.locator(".models li").filter(has_text="ShieldGemma 2B")
    expect(line).to_contain_text("Checks what is asked and answered here.")
    expect(line.get_by_role("button")).to_have_count(1)  # it can be removed, not talked to


def test_a_guard_on_its_way_is_named(page: Page) -> None:
    chat = open_chat(page, guard={**GUARD, "stored": False, "kept": 0}, manualOpen=True)
    # Of the model all is here, of the guard nothing: what it takes is asked for.
    question = chat.frame.locator(".opening")
    expect(question).to_contain_text("1.7 GB")
    question.get_by_role("button", name="Download 1.7 GB").click()
    progress: dict[str, Any] = {
        "phase": "download", "loaded": 2e8, "total": 1.7e9, "rate": None, "remaining": None,
        "guard": True,
    }  # fmt: skip
    chat.frame.evaluate("(progress) => mock.onProgress(progress)", progress)
    expect(chat.frame.locator(".opening-title")).to_have_text("The guard: Downloading")


def test_a_refusal_is_accessible(page: Page) -> None:
    chat = open_chat(page, guard=GUARD)
    ask(chat, "Something hateful")
    chat.mock("refuse('prompt', 'hate')")
    expect(chat.frame.locator(".refusal")).to_be_visible()
    chat.frame.evaluate(AXE)
    found = chat.frame.evaluate("axe.run({resultTypes: ['violations']})")
    assert [violation["id"] for violation in found["violations"]] == []
