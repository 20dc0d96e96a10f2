"""Where the model computes, as the page shows and asks it: the settings, the opening, a graphics
chip that fails, and how fast the device is. The model is a mock; the engine has tests of its own.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from slmweb.server.site import Site
from tests.web.chat_page import GPU, ChatPage, open_chat

MANUAL: dict[str, Any] = {"manualOpen": True, "gpu": GPU}


def button(chat: ChatPage, name: str) -> Locator:
    return chat.frame.get_by_role("button", name=name, exact=True)


def settings(chat: ChatPage) -> Locator:
    button(chat, "Settings").first.click()
    return chat.frame.get_by_role("dialog", name="Settings")


def choices(chat: ChatPage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = chat.frame.evaluate("mock.choices")
    return found


# ---- what is shown


def test_the_settings_say_where_it_computes_and_what_was_checked(shared_page: Page) -> None:
    chat = open_chat(shared_page, gpu=GPU)
    place = settings(chat).get_by_role("region", name="Where it computes")
    expect(place).to_contain_text("The graphics chip computes: Apple M3.")
    expect(place).to_contain_text("161 MB")
    expect(place).to_contain_text("matvec sweep")
    expect(place).to_contain_text("right (off by 0.00012%, at most 0.1% is allowed)")
    expect(place).to_contain_text("not checkedThere was nothing to compare with.")
    expect(place).not_to_contain_text("threads")
    button(chat, "Close").first.click()
    button(chat, "About SmolLM2 135M Instruct").click()
    card = chat.frame.get_by_role("dialog")
    expect(card).to_contain_text("on your graphics chip: WebGPU, Apple M3.")
    expect(card).not_to_contain_text("relaxed_dot")


def test_on_the_processor_they_say_why(shared_page: Page) -> None:
    chat = open_chat(shared_page)
    place = settings(chat).get_by_role("region", name="Where it computes")
    expect(place).to_contain_text("this browser lends a page no graphics chip (WebGPU)")
    expect(place).to_contain_text("It has 2 threads")
    expect(place.locator("dt")).to_have_count(0)


@pytest.mark.parametrize(
    ("language", "chip", "passed"),
    [("de", "Der Grafikchip rechnet", "richtig"), ("ar", "شريحة الرسوم تحسب", "صحيح"),
     ("hi", "ग्राफ़िक्स चिप गणना करती है", "सही")],
)  # fmt: skip
def test_in_the_pages_language(shared_page: Page, language: str, chip: str, passed: str) -> None:
    chat = open_chat(shared_page, site=Site(lang=language), gpu=GPU)
    chat.frame.locator(".tools button").nth(3).click()
    place = chat.frame.locator("[aria-labelledby=place-title]")
    expect(place).to_contain_text(chip)
    expect(place).to_contain_text(passed)
    expect(place).to_contain_text("Apple M3")
    place.get_by_role("button").click()
    panel = chat.frame.locator("#how-fast")
    panel.locator(".primary").click()
    expect(panel.locator("table")).to_be_visible()
    # What no sentence of ours in English does without, and no other language has.
    english = re.compile(r"\b(the|this|it|has|of|with|which|on)\b", re.I)
    assert english.findall(panel.inner_text()) == []


# ---- what is chosen


def test_the_choice_reopens_the_model_and_is_kept(shared_page: Page) -> None:
    chat = open_chat(shared_page, gpu=GPU)
    panel = settings(chat)
    field = panel.get_by_role("combobox", name="Compute on")
    expect(field).to_have_value("auto")
    expect(field.locator("option")).to_have_text(["automatic", "Graphics chip", "Processor"])
    field.select_option(label="Processor")
    panel.get_by_role("button", name="Reload with these").click()
    chat.drawn()
    assert [choice.get("backend") for choice in choices(chat)] == [None, "cpu"]
    assert chat.frame.evaluate("mock.kept.backend") == "cpu"
    place = settings(chat).get_by_role("region", name="Where it computes")
    expect(place).to_contain_text("The processor computes, as was chosen.")


def test_what_was_kept_is_asked_for(shared_page: Page) -> None:
    chat = open_chat(shared_page, preferences={"backend": "webgpu"})
    assert [choice.get("backend") for choice in choices(chat)] == ["webgpu"]
    expect(settings(chat).get_by_role("combobox", name="Compute on")).to_have_value("webgpu")


def test_the_address_decides_for_this_visit_alone(shared_page: Page) -> None:
    chat = open_chat(shared_page, preferences={"backend": "webgpu"}, backend="cpu")
    assert [choice.get("backend") for choice in choices(chat)] == ["cpu"]
    settings(chat)
    button(chat, "Close").first.click()
    chat.drawn()
    assert chat.frame.evaluate("mock.kept.backend") == "webgpu"


# ---- what the start of a chip has found


def test_the_fastest_form_is_kept_for_the_next_start(shared_page: Page) -> None:
    chat = open_chat(shared_page, gpu=GPU, preferences={"model": "other", "temperature": 1.5})
    assert choices(chat)[0].get("kernels") is None
    kept = chat.frame.evaluate("mock.kept")
    assert (kept["matvec"], kept["model"], kept["temperature"]) == ("sweep", "other", 1.5)
    chat = open_chat(shared_page, gpu=GPU, preferences=kept)
    assert choices(chat)[0]["kernels"] == {"matvec": "sweep"}
    assert chat.frame.evaluate("mock.kept") is None  # nothing is new


def test_it_is_forgotten_when_the_chip_fails(shared_page: Page) -> None:
    chat = open_chat(shared_page, preferences={"matvec": "lane"})
    assert chat.frame.evaluate("mock.kept") is None  # the processor has nothing against it
    emulated = {**GPU, "gpu": {**GPU["gpu"], "emulated": True}}
    chat = open_chat(shared_page, gpu=emulated, preferences={"matvec": "lane"})
    assert chat.frame.evaluate("mock.kept.matvec") is None
    chat = open_chat(shared_page, gpu=GPU, preferences={"matvec": "sweep"})
    chat.send("Hello")
    chat.mock("emit('Good ')")
    chat.mock("tell({code: 'gpu_senseless', repeated: null})")
    assert chat.frame.evaluate("mock.kept.matvec") is None  # at once: who knows how this ends
    chat.frame.evaluate("mock.info = {...mock.info, backend: 'cpu', gpu: null}")
    chat.mock("finish()")
    assert chat.frame.evaluate("mock.kept.matvec") is None


def test_a_measurement_finds_it_anew(shared_page: Page) -> None:
    chat = open_chat(shared_page, gpu=GPU, preferences={"matvec": "lane"})
    how_fast(chat).get_by_role("button", name="Measure").click()
    expect(chat.frame.get_by_role("button", name="Measure again")).to_be_visible()
    kernels = [choice.get("kernels") for choice in choices(chat)]
    assert kernels == [{"matvec": "lane"}, {}, {}, {"matvec": "sweep"}]
    assert chat.frame.evaluate("mock.kept.matvec") == "sweep"


# ---- while it opens


def test_opening_shows_what_is_prepared(shared_page: Page) -> None:
    chat = open_chat(shared_page, **MANUAL)
    opening = chat.frame.locator(".opening")
    loading = "{phase: 'load', loaded: 33e6, total: 97e6, rate: 1e8, remaining: 1"
    chat.mock(f"onProgress({loading}, pipelines: {{done: 3, total: 40}}}})")
    expect(opening).to_contain_text("Loading into memory")
    expect(opening).to_contain_text("Preparing the graphics chip, 3 of 40")
    compiling = "{phase: 'compile', loaded: 0, total: 0, rate: null, remaining: null"
    chat.mock(f"onProgress({compiling}, pipelines: {{done: 12, total: 40}}}})")
    expect(opening.locator(".opening-title")).to_have_text("Preparing the graphics chip, 12 of 40")
    expect(opening.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "30")
    chat.mock(f"onProgress({compiling}}})")
    expect(opening.locator(".opening-title")).to_have_text("Preparing the engine")
    expect(opening.get_by_role("progressbar")).not_to_have_attribute("aria-valuenow", "30")


def test_a_chip_that_could_not_start_is_said_above_the_field(shared_page: Page) -> None:
    chat = open_chat(shared_page, **MANUAL)
    wrong = "{code: 'gpu_wrong', check: 'known_answer', error: 0.31, bound: 0.005}"
    chat.mock(f"tell({wrong})")
    chat.mock("opened()")
    advice = chat.frame.locator(".advice")
    expect(advice).to_contain_text("the graphics chip failed a check and is not used: Known answer")
    expect(advice).to_contain_text("off by 31%, at most 0.5% is allowed")
    chat.ask("Hello", "Hi.")
    expect(advice).to_be_hidden()


# ---- a chip that is lost


def test_a_lost_chip_pauses_the_answer_and_says_so(shared_page: Page) -> None:
    chat = open_chat(shared_page, gpu=GPU)
    chat.send("Hello")
    chat.mock("emit('Good ')")
    answer = chat.frame.locator(".turn.assistant")
    chat.mock("tell({code: 'gpu_lost', losses: 1})")
    note = answer.locator(".note")
    expect(note).to_have_text(
        "The graphics chip was lost. The model is loaded again and goes on by itself."
    )
    expect(answer.locator(".prose")).to_have_text("Good")
    expect(chat.frame.locator("[aria-live=polite]")).to_contain_text("The graphics chip was lost.")
    expect(answer).not_to_have_class("is-writing")
    chat.mock("emit('evening.')")
    expect(answer.locator(".prose")).to_have_text("Good evening.")
    expect(note).to_contain_text("failed while this was written; it goes on where it stopped")
    chat.mock("tell({code: 'gpu_given_up', losses: 2})")
    expect(note).to_contain_text("The processor goes on")
    chat.mock("finish()")
    expect(note).to_contain_text("failed while this was written")
    chat.ask("Again?", "Yes.")
    expect(answer.nth(1).locator(".note")).to_have_count(0)


def test_one_that_is_lost_in_a_pause_is_said_above_the_field(shared_page: Page) -> None:
    chat = open_chat(shared_page, gpu=GPU)
    chat.ask("Hello", "Hi.")
    chat.mock("tell({code: 'gpu_lost', losses: 1})")
    expect(chat.frame.locator(".advice")).to_contain_text("The graphics chip was lost.")
    expect(chat.frame.locator(".turn .note")).to_have_count(0)


# ---- how fast this device is


def how_fast(chat: ChatPage) -> Locator:
    settings(chat).get_by_role("button", name="How fast is this device?").click()
    return chat.frame.get_by_role("dialog", name="How fast is this device?")


def test_the_device_is_measured_on_both_and_the_result_copied(browser: Browser) -> None:
    with browser.new_context(permissions=["clipboard-read", "clipboard-write"]) as context:
        page = context.new_page()
        chat = open_chat(page, gpu=GPU)
        chat.ask("Hello", "Hi.")
        panel = how_fast(chat)
        start = panel.get_by_role("button", name="Measure")
        start.focus()
        start.press("Enter")
        rows = panel.get_by_role("row")
        expect(rows).to_have_count(4)
        expect(rows.nth(0).get_by_role("columnheader")).to_have_text(["Processor", "Graphics chip"])
        expect(rows.nth(1)).to_have_text("Reads205 tokens/s820 tokens/s")
        expect(rows.nth(2)).to_have_text("Writes37 tokens/s148 tokens/s")
        expect(panel).to_contain_text("This model is faster on the graphics chip of this device.")
        # The model is open again as it was, and the keyboard where it was.
        asked = [(choice.get("backend"), choice.get("n_ctx")) for choice in choices(chat)]
        assert asked == [(None, None), ("cpu", 512), ("webgpu", 512), (None, None)]
        expect(panel.get_by_role("button", name="Measure again")).to_be_focused()
        panel.get_by_role("button", name="Copy the result").click()
        expect(panel.get_by_role("button", name="Copied")).to_be_visible()
        copied = page.evaluate("navigator.clipboard.readText()")
        words, _, data = copied.partition("{")
        assert "Processor: Reads 205 tokens/s" in words
        assert "Graphics chip: Writes 148 tokens/s" in words
        told = json.loads("{" + data)
        assert told["webgpu"]["decode_tokens_per_second"] == 148
        assert told["webgpu"]["gpu"]["adapter"]["description"] == "Apple M3"
        assert told["cpu"]["threads"] == 2
        assert told["model"]["name"] == "smollm2-135m-instruct-q4_1"
        assert "Hello" not in copied
        panel.get_by_role("button", name="Close").click()
        chat.ask("And now?", "Still here.")
        assert chat.requests == []


def test_without_a_chip_it_says_why(shared_page: Page) -> None:
    chat = open_chat(shared_page)
    panel = how_fast(chat)
    panel.get_by_role("button", name="Measure").click()
    expect(panel.get_by_role("row").nth(1)).to_have_text("Reads205 tokens/snot measured")
    expect(panel).to_contain_text("this browser lends a page no graphics chip (WebGPU)")
    expect(panel).not_to_contain_text("faster on")


def test_what_failed_is_said_in_one_sentence(shared_page: Page) -> None:
    chat = open_chat(shared_page, gpu=GPU)
    chat.mock("breaks = 'webgpu'")
    panel = how_fast(chat)
    panel.get_by_role("button", name="Measure").click()
    expect(panel.get_by_role("row").nth(2)).to_have_text("Writes37 tokens/snot measured")
    expect(panel).to_contain_text("Graphics chip: Something failed that was not foreseen.")
    chat.mock("breaks = null")
    panel.get_by_role("button", name="Measure again").click()
    # The model is a mock, and this Chromium lends no chip to be measured by itself.
    expect(panel.get_by_role("row").nth(2)).to_have_text("Writes37 tokens/s148 tokens/s")
    expect(panel).to_contain_text("Measuring the memory of the graphics chip: Something failed")


@pytest.mark.parametrize("way", ["Stop", "Close"])
def test_a_measurement_can_be_given_up(shared_page: Page, way: str) -> None:
    chat = open_chat(shared_page, gpu=GPU)
    panel = how_fast(chat)
    chat.mock("hold = true")
    panel.get_by_role("button", name="Measure").click()
    expect(panel).to_contain_text("Measuring the processor")
    expect(panel.get_by_role("button", name="Stop")).to_be_focused()
    panel.get_by_role("button", name=way).click()
    if way == "Stop":
        expect(panel.get_by_role("button", name="Measure")).to_be_enabled()
        panel.get_by_role("button", name="Close").click()
    chat.ask("Hello", "Hi.")
    assert [choice.get("backend") for choice in choices(chat)] == [None, "cpu", None]


def test_nothing_is_measured_while_an_answer_is_written(shared_page: Page) -> None:
    chat = open_chat(shared_page, gpu=GPU)
    chat.send("Hello")
    chat.mock("emit('Good ')")
    panel = how_fast(chat)
    expect(panel.get_by_role("button", name="Measure")).to_be_disabled()
    expect(panel).to_contain_text("no answer is being written")
