"""What the chat does: asking, stopping, retrying, editing, settings, opening, failing.

Runs in the sealed frame over a mock model that speaks only when told to, so
that every state can be looked at for as long as the test likes.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.web.chat_page import ChatPage, message_field, open_chat

MANUAL: dict[str, Any] = {"manualOpen": True, "models": [{"stored": False}]}
TWO: list[dict[str, Any]] = [
    {"stored": False},
    {"name": "other", "title": "Other 270M", "size": 253e6, "stored": False},
]


def answers(chat: ChatPage) -> Locator:
    return chat.frame.locator(".turn.assistant")


def questions(chat: ChatPage) -> Locator:
    return chat.frame.locator(".turn.user")


def button(chat: ChatPage, name: str) -> Locator:
    return chat.frame.get_by_role("button", name=name, exact=True)


def roles(chat: ChatPage) -> list[str]:
    return [message["role"] for message in chat.last_request()["messages"]]


# ---- asking


def test_an_example_is_asked_by_a_click_and_answered(chat: ChatPage) -> None:
    chat.frame.get_by_role("button", name="Why is the sky blue?").click()
    expect(questions(chat)).to_have_text(
        ["You" + "Why is the sky blue? Two sentences, please." + "Copy" + "Edit"]
    )
    chat.answer("Because of scattering.")
    expect(answers(chat).locator(".prose")).to_have_text("Because of scattering.")
    assert chat.requests == []


def test_words_appear_as_they_come_with_the_speed_beside_them(chat: ChatPage) -> None:
    chat.send("Hello")
    chat.mock("emit('Good ')")
    prose = answers(chat).locator(".prose")
    expect(prose).to_have_text("Good")
    chat.mock("emit('evening.')")
    expect(prose).to_have_text("Good evening.")
    expect(answers(chat)).to_contain_text("148 tokens/s")
    expect(answers(chat)).to_contain_text("2 tokens")
    expect(button(chat, "Retry")).to_have_count(0)
    chat.mock("finish()")
    expect(answers(chat)).to_contain_text("prompt 820/s")
    expect(button(chat, "Retry")).to_have_count(1)


def test_prefill_shows_its_progress(chat: ChatPage) -> None:
    chat.send("A long text")
    chat.mock("prefill(256, 812)")
    expect(answers(chat)).to_contain_text("Reading 256 of 812 tokens")
    chat.mock("prefill(812, 812)")
    chat.mock("emit('Yes')")
    expect(answers(chat)).not_to_contain_text("Reading")


def test_the_context_meter_follows_the_model(chat: ChatPage) -> None:
    chat.mock("past = 511")
    chat.ask("Hello", "Hi")
    meter = chat.frame.get_by_role("meter", name="Context in use")
    expect(meter).to_have_attribute("aria-valuenow", "512")
    expect(meter).to_have_attribute("aria-valuemax", "2048")
    expect(chat.frame.get_by_text("512 / 2,048 context")).to_be_visible()
    expect(chat.frame.get_by_text("148 MB memory")).to_be_visible()


def test_a_second_question_carries_the_first_turn(chat: ChatPage) -> None:
    chat.ask("One?", "First.")
    chat.ask("Two?", "Second.")
    assert chat.last_request()["messages"] == [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "First."},
        {"role": "user", "content": "Two?"},
    ]
    assert chat.last_request()["stream"] is True


def test_new_chat_forgets(chat: ChatPage) -> None:
    chat.ask("One?", "First.")
    button(chat, "New chat").click()
    expect(chat.frame.get_by_role("heading", level=1)).to_be_visible()
    chat.ask("Two?", "Second.")
    assert roles(chat) == ["user"]


# ---- stopping


@pytest.mark.parametrize("how", ["button", "escape"])
def test_stop_ends_the_answer_and_keeps_its_words(chat: ChatPage, how: str) -> None:
    chat.send("Count")
    chat.mock("emit('One, two')")
    if how == "button":
        button(chat, "Stop").click()
    else:
        message_field(chat).press("Escape")
    expect(answers(chat)).to_contain_text("One, two")
    expect(answers(chat)).to_contain_text("Stopped.")
    assert chat.frame.evaluate("mock.requests.at(-1).options.signal.aborted")
    expect(button(chat, "Send")).to_be_visible()
    chat.ask("Go on", "three")
    assert roles(chat) == ["user", "assistant", "user"]


def test_after_an_answer_stopped_before_its_first_word_roles_still_alternate(
    chat: ChatPage,
) -> None:
    chat.send("Count")
    chat.drawn()
    message_field(chat).press("Escape")
    chat.ask("To three", "One, two, three")
    assert chat.last_request()["messages"] == [{"role": "user", "content": "Count\n\nTo three"}]


# ---- versions


def test_retry_keeps_the_earlier_answer_as_a_version(chat: ChatPage) -> None:
    chat.ask("A word?", "Apple")
    button(chat, "Retry").click()
    chat.answer("Pear")
    prose = answers(chat).locator(".prose")
    expect(prose).to_have_text("Pear")
    expect(answers(chat)).to_contain_text("2 / 2")
    button(chat, "Earlier version").click()
    expect(prose).to_have_text("Apple")
    expect(button(chat, "Later version")).to_be_focused()
    chat.ask("And?", "More")
    assert chat.last_request()["messages"][1]["content"] == "Apple"


def test_an_edited_question_is_sent_again_and_the_old_one_stays_a_version(chat: ChatPage) -> None:
    chat.ask("Capital of Frence?", "Unknown")
    chat.ask("Why?", "Because")
    questions(chat).first.hover()
    questions(chat).first.get_by_role("button", name="Edit").click()
    field = chat.frame.get_by_role("textbox", name="Edit your message")
    expect(field).to_be_focused()
    field.fill("Capital of France?")
    field.press("Enter")
    chat.answer("Paris")
    expect(questions(chat)).to_have_count(1)
    assert chat.last_request()["messages"] == [{"role": "user", "content": "Capital of France?"}]
    button(chat, "Earlier version").click()
    expect(questions(chat)).to_have_count(2)
    expect(answers(chat).first).to_contain_text("Unknown")


def test_escape_leaves_an_edit_without_sending(chat: ChatPage) -> None:
    chat.ask("Hello", "Hi")
    questions(chat).hover()
    button(chat, "Edit").click()
    chat.frame.get_by_role("textbox", name="Edit your message").press("Escape")
    expect(questions(chat)).to_contain_text("Hello")
    expect(button(chat, "Edit")).to_be_focused()
    assert chat.frame.evaluate("mock.requests.length") == 1


# ---- copying


def pasted(chat: ChatPage) -> str:
    """What the clipboard holds, by pasting it into the message field."""
    field = message_field(chat)
    field.fill("")
    field.press("Control+V")
    return field.input_value()


def test_copy_takes_the_answer_as_markdown(chat: ChatPage) -> None:
    chat.ask("Hello", "one **two**")
    answers(chat).get_by_role("button", name="Copy").click()
    expect(answers(chat).get_by_role("button", name="Copied")).to_be_visible()
    assert pasted(chat) == "one **two**"


def test_copy_chat_takes_every_turn(chat: ChatPage) -> None:
    chat.ask("Hello", "Hi")
    button(chat, "Copy chat").click()
    assert pasted(chat) == "**You:**\n\nHello\n\n**SmolLM2:**\n\nHi\n"


# ---- settings


def open_settings(chat: ChatPage) -> Locator:
    button(chat, "Settings").first.click()
    return chat.frame.get_by_role("dialog", name="Settings")


def test_settings_start_with_the_models_own_and_reach_the_request(chat: ChatPage) -> None:
    settings = open_settings(chat)
    expect(settings.get_by_role("slider", name="Temperature")).to_have_value("0.2")
    settings.get_by_role("textbox", name="System prompt").fill("Answer in French.")
    settings.get_by_role("spinbutton", name="Temperature").fill("1.1")
    settings.get_by_role("spinbutton", name="Seed").fill("7")
    settings.get_by_role("spinbutton", name="Longest answer").fill("64")
    settings.get_by_role("button", name="Close").click()
    chat.ask("Hello", "Bonjour")
    request = chat.last_request()
    assert request["messages"][0] == {"role": "system", "content": "Answer in French."}
    wanted = {"temperature": 1.1, "top_p": 0.9, "top_k": 40, "min_p": 0.05, "repeat_penalty": 1.1}
    assert {name: request[name] for name in wanted} == wanted
    assert (request["seed"], request["max_tokens"]) == (7, 64)
    assert request["context_overflow"] == "error"


def test_a_value_outside_its_range_becomes_the_nearest_inside(chat: ChatPage) -> None:
    settings = open_settings(chat)
    exact = settings.get_by_role("spinbutton", name="Temperature")
    for typed, kept in [("9", "2"), ("-1", "0")]:
        exact.fill(typed)
        exact.press("Tab")
        expect(exact).to_have_value(kept)
    expect(settings.get_by_role("slider", name="Temperature")).to_have_value("0")
    settings.get_by_role("button", name="Reset to the model’s own").click()
    expect(settings.get_by_role("spinbutton", name="Temperature")).to_have_value("0.2")


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("", "0.2"),
        ("warm", "0.2"),
        ("1 2", "0.2"),
        ("0,7", "0.7"),
        (".5", "0.5"),
        (" 1.25 ", "1.25"),
        ("٠٫٥", "0.5"),
        ("१.५", "1.5"),
    ],
)
def test_a_number_is_read_as_people_write_it_and_what_is_none_changes_nothing(
    chat: ChatPage, typed: str, kept: str
) -> None:
    settings = open_settings(chat)
    exact = settings.get_by_role("spinbutton", name="Temperature")
    exact.fill(typed)
    exact.press("Tab")
    expect(exact).to_have_value(kept)
    exact.press("ArrowUp")
    expect(exact).to_have_value(f"{float(kept) + 0.05:g}")


def test_the_longest_answer_is_no_longer_than_the_context(chat: ChatPage) -> None:
    settings = open_settings(chat)
    longest = settings.get_by_role("spinbutton", name="Longest answer")
    longest.fill("9000")
    longest.press("Tab")
    expect(longest).to_have_value("2048")
    settings.get_by_role("combobox", name="Context length").select_option("512")
    settings.get_by_role("button", name="Reload with these").click()
    settings = open_settings(chat)
    expect(longest).to_have_value("512")
    expect(longest).to_have_attribute("aria-valuemax", "512")


def test_each_answer_has_a_new_seed_until_one_is_kept(chat: ChatPage) -> None:
    chat.ask("Hello", "Hi")
    first = chat.last_request()["seed"]
    settings = open_settings(chat)
    settings.get_by_role("button", name=f"Keep the last one, {first}").click()
    expect(settings.get_by_role("spinbutton", name="Seed")).to_have_value(str(first))
    settings.get_by_role("button", name="Close").click()
    chat.ask("Hello again", "Hi")
    assert chat.last_request()["seed"] == first


def test_another_context_length_reloads_the_model_and_keeps_the_chat(chat: ChatPage) -> None:
    chat.ask("Hello", "Hi")
    settings = open_settings(chat)
    apply = settings.get_by_role("button", name="Reload with these")
    expect(apply).to_be_disabled()
    settings.get_by_role("combobox", name="Context length").select_option("4096")
    apply.click()
    expect(chat.frame.get_by_text("1 / 4,096 context")).to_be_visible()
    expect(answers(chat)).to_contain_text("Hi")
    assert chat.frame.evaluate("mock.openings.length") == 2


# ---- the full context


def fill_context(chat: ChatPage) -> None:
    chat.ask("One?", "First.")
    chat.send("Two?")
    chat.mock("fail('context_full', 'full', {prompt_tokens: 2210, n_ctx: 2048})")


def test_a_full_context_is_said_in_numbers_and_solved_in_one_click(chat: ChatPage) -> None:
    fill_context(chat)
    alert = chat.frame.get_by_role("alert")
    # The figures of the answer before are not this one's.
    expect(answers(chat).last).not_to_contain_text("tokens/s")
    expect(alert).to_contain_text("takes 2,210 tokens and the model's context holds 2,048")
    button(chat, "Drop the oldest turns").click()
    assert chat.last_request()["context_overflow"] == "drop_oldest"
    chat.mock("drop(2)")
    chat.answer("Second.")
    expect(alert).to_have_count(0)
    expect(answers(chat)).to_have_count(2)
    expect(chat.frame.get_by_role("note")).to_contain_text("no longer fit")
    seen = chat.frame.locator(".turn:not(.is-dropped)")
    expect(seen).to_have_count(2)


def test_what_does_not_fit_even_alone_is_answered_in_a_longer_context_in_one_step(
    chat: ChatPage,
) -> None:
    chat.send("A very long text")
    chat.mock("fail('context_full', 'full', {prompt_tokens: 2210, n_ctx: 2048})")
    expect(button(chat, "Drop the oldest turns")).to_have_count(0)
    button(chat, "Use 4,096 tokens and answer").click()
    chat.answer("A long answer.")
    expect(answers(chat).locator(".prose")).to_have_text("A long answer.")
    expect(chat.frame.get_by_text("/ 4,096 context")).to_be_visible()
    assert chat.frame.evaluate("mock.openings.length") == 2
    assert chat.frame.evaluate("mock.kept.n_ctx") == 4096


@pytest.mark.parametrize(
    ("prompt", "offered"),
    [(3500, "Use 4,096"), (3700, "Use 8,192"), (8000, "Use 8,192"), (9000, None)],
)
def test_the_longer_context_leaves_room_for_an_answer_and_is_one_that_the_model_has(
    chat: ChatPage, prompt: int, offered: str | None
) -> None:
    chat.send("A very long text")
    chat.mock(f"fail('context_full', 'full', {{prompt_tokens: {prompt}, n_ctx: 2048}})")
    offers = chat.frame.get_by_role("alert").get_by_role("button", name="tokens and answer")
    expect(offers).to_have_text([f"{offered} tokens and answer"] if offered else [])


def test_dropping_can_be_chosen_beforehand(chat: ChatPage) -> None:
    settings = open_settings(chat)
    settings.get_by_role("checkbox", name="When the context is full, drop the oldest turns").check()
    settings.get_by_role("button", name="Close").click()
    chat.ask("Hello", "Hi")
    assert chat.last_request()["context_overflow"] == "drop_oldest"


@pytest.mark.parametrize(
    ("past", "note"),
    [
        (500, "Stopped after 1 token, the limit in Settings."),
        (2047, "Stopped: the context is full."),
    ],
)
def test_an_answer_cut_short_says_why(chat: ChatPage, past: int, note: str) -> None:
    chat.send("Hello")
    chat.mock("emit('Hi')")
    chat.mock(f"past = {past}")
    chat.mock("finish('length')")
    expect(answers(chat)).to_contain_text(note)


@pytest.mark.parametrize("how", ["drop", "longer"])
def test_an_answer_cut_short_by_the_context_is_gone_on_with_in_one_step(
    chat: ChatPage, how: str
) -> None:
    chat.ask("One?", "First.")
    chat.send("Two?")
    chat.mock("emit('Sec')")
    chat.mock("past = 2048")
    chat.mock("finish('length')")
    longer = "Use 4,096 tokens and continue"
    button(chat, "Drop the oldest turns and continue" if how == "drop" else longer).click()
    chat.drawn()
    request = chat.last_request()
    assert request["context_overflow"] == ("drop_oldest" if how == "drop" else "error")
    assert request["messages"][-1] == {"role": "assistant", "content": "Sec"}
    chat.answer("ond.")
    expect(answers(chat).last.locator(".prose")).to_have_text("Second.")
    expect(answers(chat).last).not_to_contain_text("context is full")
    assert chat.frame.evaluate("mock.openings.length") == (1 if how == "drop" else 2)


@pytest.mark.parametrize("cut", ["limit", "stop"])
def test_an_answer_that_was_cut_goes_on_from_its_last_word(chat: ChatPage, cut: str) -> None:
    chat.send("Count")
    chat.mock("emit('One, two')")
    if cut == "limit":
        chat.mock("finish('length')")
    else:
        message_field(chat).press("Escape")
    expect(answers(chat)).to_contain_text("1 token")
    # What ends before its first word has written nothing.
    button(chat, "Continue").click()
    message_field(chat).press("Escape")
    expect(answers(chat)).to_contain_text("1 token")
    button(chat, "Continue").click()
    chat.drawn()
    assert chat.last_request()["messages"] == [
        {"role": "user", "content": "Count"},
        {"role": "assistant", "content": "One, two"},
    ]
    chat.answer(", three")
    expect(answers(chat).locator(".prose")).to_have_text("One, two, three")
    # The figures are those of the whole answer.
    expect(answers(chat)).to_contain_text("143 tokens/s2 tokens")
    expect(answers(chat)).to_have_count(1)
    expect(answers(chat)).not_to_contain_text("1 / ")
    expect(button(chat, "Continue")).to_have_count(0)
    # A whole answer is not gone on with, and neither is one that something follows.
    chat.ask("And?", "four")
    expect(button(chat, "Continue")).to_have_count(0)


# ---- failing


def test_a_crash_is_one_sentence_and_a_reload(chat: ChatPage) -> None:
    chat.send("Hello")
    chat.mock("emit('Half an ans')")
    chat.mock("fail('crashed', 'The engine stopped; load the model again.')")
    expect(answers(chat)).to_contain_text("Half an ans")
    expect(chat.frame.get_by_role("alert")).to_contain_text(
        "The engine stopped; load the model again."
    )
    button(chat, "Reload the model and try again").click()
    chat.answer("A whole answer.")
    expect(answers(chat).locator(".prose")).to_have_text("A whole answer.")
    assert chat.frame.evaluate("mock.openings.length") == 2


def test_an_unforeseen_error_is_named_and_can_be_tried_again(chat: ChatPage) -> None:
    chat.send("Hello")
    chat.mock("fail(null, 'x is undefined')")
    alert = chat.frame.get_by_role("alert")
    expect(alert).to_contain_text("not foreseen")
    expect(alert.get_by_text("x is undefined")).to_be_hidden()
    alert.get_by_text("Details").click()
    expect(alert.get_by_text("x is undefined")).to_be_visible()
    button(chat, "Try again").click()
    chat.answer("Hi")
    expect(answers(chat)).to_have_count(1)
    expect(answers(chat)).not_to_contain_text("1 / ")


@pytest.mark.parametrize("code", ["context_full", "invalid_argument", "crashed", "bad_template"])
def test_every_failed_turn_can_be_tried_again(chat: ChatPage, code: str) -> None:
    chat.send("Hello")
    chat.mock(f"fail({code!r}, 'That failed; do something else.')")
    again = chat.frame.get_by_role("button", name="try again").or_(button(chat, "Retry"))
    again.first.click()
    chat.answer("Hi")
    expect(answers(chat).locator(".prose")).to_have_text("Hi")
    assert chat.frame.evaluate("mock.openings.length") == (2 if code == "crashed" else 1)


# ---- opening a model


def progress(chat: ChatPage, phase: str, loaded: float, total: float) -> None:
    figures = {"phase": phase, "loaded": loaded, "total": total, "rate": 12.1e6, "remaining": 4.7}
    chat.mock(f"onProgress({json.dumps(figures)})")


def test_a_download_shows_bytes_rate_and_time_and_can_be_halted(shared_page: Page) -> None:
    chat = open_chat(shared_page, **MANUAL)
    progress(chat, "download", 41.3e6, 98.4e6)
    expect(chat.frame.get_by_text("41.3 MB of 98.4 MB · 12.1 MB/s · 5 s left")).to_be_visible()
    bar = chat.frame.get_by_role("progressbar", name="Downloading")
    expect(bar).to_have_attribute("aria-valuenow", "42")
    button(chat, "Cancel").click()
    expect(chat.frame.get_by_text("41.3 MB of 98.4 MB are here and kept.")).to_be_visible()
    button(chat, "Continue").click()
    chat.mock("opened()")
    expect(message_field(chat)).to_have_attribute("placeholder", "Ask SmolLM2")


def test_a_question_asked_early_waits_for_the_model(shared_page: Page) -> None:
    chat = open_chat(shared_page, **MANUAL)
    chat.send("Hello")
    expect(answers(chat)).to_contain_text("Waiting for the model")
    progress(chat, "load", 50e6, 98.4e6)
    expect(chat.frame.get_by_role("progressbar", name="Loading into memory")).to_be_visible()
    chat.mock("opened()")
    chat.answer("Hi")
    expect(answers(chat).locator(".prose")).to_have_text("Hi")


def test_a_failed_opening_says_why_and_tries_again(shared_page: Page) -> None:
    chat = open_chat(shared_page, **MANUAL)
    chat.mock("openFails('network', 'The server answered 503; check that it runs.')")
    expect(chat.frame.get_by_role("alert")).to_contain_text("The server answered 503")
    button(chat, "Try again").click()
    chat.mock("opened()")
    chat.ask("Hello", "Hi")
    expect(answers(chat).locator(".prose")).to_have_text("Hi")


def test_among_several_models_none_is_downloaded_unasked(shared_page: Page) -> None:
    chat = open_chat(shared_page, models=TWO)
    expect(message_field(chat)).to_be_disabled()
    assert chat.frame.evaluate("mock.openings") == []
    chat.frame.get_by_role("button", name="Other 270M").click()
    expect(message_field(chat)).to_have_attribute("placeholder", "Ask Other")
    expect(message_field(chat)).to_be_focused()
    assert chat.frame.evaluate("mock.openings") == ["other"]


def test_a_stored_model_opens_at_once(shared_page: Page) -> None:
    chat = open_chat(shared_page, models=[TWO[0], {**TWO[1], "stored": True}])
    expect(message_field(chat)).to_have_attribute("placeholder", "Ask Other")


def test_a_site_without_models_says_so(shared_page: Page) -> None:
    chat = open_chat(shared_page, models=[])
    expect(chat.frame.get_by_role("alert")).to_contain_text("offers no model")


def test_a_base_model_continues_the_text(shared_page: Page) -> None:
    chat = open_chat(shared_page, info={"has_chat_template": False})
    expect(chat.frame.get_by_text("it continues the text that you begin")).to_be_visible()
    chat.ask("Once upon a time", " there was a fox.")
    assert chat.last_request()["prompt"] == "Once upon a time"
    expect(answers(chat).locator(".prose")).to_have_text("there was a fox.")


# ---- the model card


def test_the_card_tells_licence_variant_and_what_runs_where(chat: ChatPage) -> None:
    button(chat, "About SmolLM2 135M Instruct").click()
    card = chat.frame.get_by_role("dialog", name="About")
    for fact in [
        "apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0", "135 M", "relaxed-mt",
        "relaxed SIMD. It has 2 threads; logical processors here: 4.", "2,048 tokens", "148 MB",
        "Runs on this device. Nothing you type leaves this page.",
    ]:  # fmt: skip
        expect(card).to_contain_text(fact)
    card.press("Escape")
    expect(card).to_be_hidden()
    expect(button(chat, "About SmolLM2 135M Instruct")).to_be_focused()


def test_storage_that_failed_is_told_on_the_card(shared_page: Page) -> None:
    full = {"code": "storage_full", "size": 98_362_432, "usage": 2e6, "quota": 5e6}
    chat = open_chat(shared_page, notice=full)
    button(chat, "About SmolLM2 135M Instruct").click()
    expect(chat.frame.get_by_role("dialog")).to_contain_text(
        "free some space to keep it. It takes 98.4 MB. "
        "Of the 5.0 MB for this site, 2.0 MB are in use."
    )


def test_a_stored_model_that_is_not_open_can_be_removed_or_opened(shared_page: Page) -> None:
    chat = open_chat(shared_page, models=[{}, {**TWO[1], "stored": True}])
    button(chat, "About SmolLM2 135M Instruct").click()
    button(chat, "Remove Other 270M from this device (98.4 MB)").click()
    button(chat, "Other 270M: Remove and free 98.4 MB?").click()
    other = chat.frame.locator("#card .models li", has_text="Other 270M")
    expect(other).to_contain_text("not on this device")
    assert chat.frame.evaluate("mock.removed") == ["other"]
