"""What a person sees while something takes its time: reading, downloading, asking first.

Runs in the sealed frame over the mock model; each state is brought about and
looked at, and no test waits for a clock.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.chat_page import ChatPage, open_chat

MANUAL: dict[str, Any] = {"manualOpen": True, "models": [{"stored": False}]}
UPDATE: dict[str, Any] = {
    "models": [{"update": {"version": "2", "bytes": 40e6, "declined": False}}],
}

# Calls `update(n)` in every frame until `done()`, and names the animations that began meanwhile.
STREAM = """async ([update, done, atLeast]) => {
  const step = new Function('n', update);
  const ended = new Function(`return ${done}`);
  const seen = globalThis.seen ??= new WeakSet();
  const begun = [];
  for (let n = 1; n < 2000 && !(n > atLeast && ended()); n++) {
    step(n);
    await new Promise(requestAnimationFrame);
    for (const animation of document.getAnimations())
      if (animation instanceof CSSAnimation && !seen.has(animation)) {
        seen.add(animation);
        begun.push(animation.animationName);
      }
  }
  return { begun, done: ended() };
}"""


def button(chat: ChatPage, name: str) -> Locator:
    return chat.frame.get_by_role("button", name=name, exact=True)


def stream(chat: ChatPage, update: str, done: str = "true", at_least: int = 60) -> dict[str, Any]:
    found: dict[str, Any] = chat.frame.evaluate(STREAM, [update, done, at_least])
    return found


def progress(chat: ChatPage, phase: str, loaded: float, total: float, **more: Any) -> None:
    figures = {"phase": phase, "loaded": loaded, "total": total, "rate": None, "remaining": None}
    chat.mock(f"onProgress({json.dumps({**figures, **more})})")


# ---- animations and the updates that come while they run


def test_words_that_fade_in_become_visible_while_updates_stream(shared_page: Page) -> None:
    chat = open_chat(shared_page)
    chat.send("A long text")
    late = "document.querySelector('.turn .late')"
    opaque = f"{late} !== null && getComputedStyle({late}).opacity === '1'"
    found = stream(chat, "mock.prefill(n, 4000)", opaque, at_least=0)
    assert found == {"begun": ["appear"], "done": True}
    expect(chat.frame.get_by_text("of 4,000 tokens")).to_be_visible()
    # What follows it takes its place without fading in again.
    assert stream(chat, "mock.prefill(4000, 4000)", opaque) == {"begun": [], "done": True}
    expect(chat.frame.get_by_text("Starting")).to_be_visible()


PROGRESS = "mock.onProgress({{phase: '{}', loaded: {}, total: {}, rate: n, remaining: n}})"


@pytest.mark.parametrize(
    ("config", "start", "update", "names"),
    [
        ({}, "send", "mock.prefill(n, 4000)", ["appear"]),
        ({}, "send", "mock.emit('word ')", []),
        (MANUAL, None, PROGRESS.format("check", 0, 0), ["wander"]),
        (MANUAL, None, PROGRESS.format("download", "n", 4000), []),
        (MANUAL, "send", PROGRESS.format("compile", 0, 0), ["wander"]),
        (UPDATE, "Update", PROGRESS.format("check", 0, 0), ["wander"]),
    ],
    ids=["reading", "writing", "opening", "downloading", "asked-early", "updating"],
)
def test_no_update_restarts_an_animation(
    shared_page: Page, config: dict[str, Any], start: str | None, update: str, names: list[str]
) -> None:
    chat = open_chat(shared_page, **config)
    if start == "send":
        chat.send("Hello")
    elif start is not None:
        button(chat, start).click()
    # What the first updates put there begins once, on a busy machine some frames later.
    assert set(stream(chat, update, at_least=30)["begun"]) >= set(names)
    assert stream(chat, update)["begun"] == []


# ---- failing, for visitors


def test_a_failed_download_says_what_is_kept_and_hides_the_exact_words(shared_page: Page) -> None:
    chat = open_chat(shared_page, **MANUAL)
    progress(chat, "lost", 4.1e6, 98.4e6)
    expect(chat.frame.get_by_text("Connection lost, trying again")).to_be_visible()
    exact = "Expected 13298688 bytes from http://site.test/ab12, found 409600 after 10 attempts"
    chat.mock(f"openFails('network', '{exact}', {{http_status: null}})")
    alert = chat.frame.get_by_role("alert")
    expect(alert).to_contain_text("The site cannot be reached. Check your connection.")
    expect(alert).to_contain_text("4.1 MB of 98.4 MB are here and kept.")
    expect(alert).to_contain_text("It is tried again by itself.")
    expect(alert.get_by_text(exact)).to_be_hidden()
    alert.get_by_text("Details").click()
    expect(alert.get_by_text(exact)).to_be_visible()


def test_a_failed_download_is_tried_again_when_the_browser_is_online(shared_page: Page) -> None:
    chat = open_chat(shared_page, **MANUAL)
    chat.mock("openFails('network', 'gone', {http_status: null})")
    expect(button(chat, "Try again")).to_be_visible()
    chat.frame.evaluate("dispatchEvent(new Event('online'))")
    assert chat.frame.evaluate("mock.openings.length") == 2
    progress(chat, "download", 1e6, 98.4e6)
    expect(chat.frame.get_by_text("Downloading")).to_be_visible()
    chat.mock("opened()")
    chat.ask("Hello", "Hi")


def test_what_no_waiting_mends_is_not_tried_again_by_itself(shared_page: Page) -> None:
    chat = open_chat(shared_page, **MANUAL)
    chat.mock("openFails('network', 'Expected a part, found HTTP 404', {http_status: 404})")
    alert = chat.frame.get_by_role("alert")
    expect(alert).to_contain_text("This site does not have all of the model.")
    expect(alert).not_to_contain_text("by itself")
    chat.frame.evaluate("dispatchEvent(new Event('online'))")
    assert chat.frame.evaluate("mock.openings.length") == 1


# ---- asked before a download


def test_a_large_download_is_asked_about_and_a_question_waits_for_the_answer(
    shared_page: Page,
) -> None:
    chat = open_chat(shared_page, models=[{"stored": False, "size": 253e6}])
    expect(chat.frame.get_by_text("is a download of 253 MB")).to_be_visible()
    assert chat.frame.evaluate("mock.openings") == []
    chat.send("Hello")
    expect(chat.frame.locator(".turn.assistant")).to_contain_text("the model is not open")
    button(chat, "Download 253 MB").click()
    chat.answer("Hi")
    expect(chat.frame.locator(".turn.assistant .prose")).to_have_text("Hi")


def test_a_stopped_download_offers_to_go_on(shared_page: Page) -> None:
    models = [{"stored": False, "arrived": 41.3e6, "halted": True}]
    chat = open_chat(shared_page, models=models)
    expect(chat.frame.get_by_text("41.3 MB of 98.4 MB are here and kept.")).to_be_visible()
    assert chat.frame.evaluate("mock.openings") == []
    button(chat, "Continue").click()
    chat.ask("Hello", "Hi")
