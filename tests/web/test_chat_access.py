"""Who can use the chat: by screen reader, on a phone, in the dark, with less motion, on
paper. By keyboard: test_chat_keyboard.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.web.chat_page import GPU, ChatPage, message_field, open_chat

ROOT = Path(__file__).resolve().parents[2]
AXE = (ROOT / "node_modules/axe-core/axe.min.js").read_text()
ANSWER = """\
Tides **rise**, see [the table](https://example.org/a/very/long/address/that/does/not/break?x=1).

```python
def tide(place: str) -> str: return "a line that is far longer than any phone is wide" or 12  # why
```

\\[ h(t) = \\sum_{i=1}^{n} A_i \\cos(\\omega_i t + \\varphi_i) + A_1 + A_2 + A_3 + A_4 + A_5 \\]

```js
const a = /x/.test(`${b}`) ? null : new Map(); // why
```

<details><summary>More</summary>

H<sub>2</sub>O.[^1]

</details>

[^1]: A note.

| Place | Range | Reason |
|:--|--:|:--|
| Fundy | 11.7 m | resonance_of_the_bay_without_any_space_to_break_at |

Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft
"""


def live_region(chat: ChatPage) -> Locator:
    return chat.frame.locator("[aria-live=polite]")


# ---- the states that everybody meets


def first_screen(chat: ChatPage) -> None:
    expect(message_field(chat)).to_have_attribute("placeholder", "Ask SmolLM2")


def answered(chat: ChatPage) -> None:
    chat.ask("How do tides work?", ANSWER)
    chat.ask("اشرح ذلك", "حسناً.")


def writing(chat: ChatPage) -> None:
    chat.send("How do tides work?")
    chat.mock("emit('Tides **rise** and')")


def reading(chat: ChatPage) -> None:
    chat.send("How do tides work?")
    chat.mock("prefill(256, 812)")


def editing(chat: ChatPage) -> None:
    chat.ask("How do tides work?", "They come.")
    message_field(chat).press("ArrowUp")


def settings(chat: ChatPage) -> None:
    chat.ask("How do tides work?", "They come.")
    chat.frame.get_by_role("button", name="Settings", exact=True).click()


def model_card(chat: ChatPage) -> None:
    chat.frame.get_by_role("button", name="About SmolLM2 135M Instruct").click()


def context_full(chat: ChatPage) -> None:
    chat.mock("past = 2000")
    chat.ask("How do tides work?", "They come.")
    chat.send("And?")
    chat.mock("fail('context_full', 'full', {prompt_tokens: 2210, n_ctx: 2048})")


def downloading(chat: ChatPage) -> None:
    progress = "{phase: 'download', loaded: 41e6, total: 98e6, rate: 12e6, remaining: 5}"
    chat.mock(f"onProgress({progress})")


def choosing(chat: ChatPage) -> None:
    expect(chat.frame.get_by_role("list", name="Choose a model")).to_be_visible()


def talks(chat: ChatPage) -> None:
    chat.ask("How do tides work?", "They come.")
    chat.frame.get_by_role("button", name="New chat", exact=True).click()
    chat.ask("Why is the sky blue, and not of any other colour that there is?", "It is.")
    chat.frame.get_by_role("button", name="Conversations", exact=True).click()


def cut_short(chat: ChatPage) -> None:
    chat.ask("How do tides work?", "They come.")
    chat.send("And?")
    chat.mock("emit('And they')")
    chat.mock("past = 2048")
    chat.mock("finish('length')")


def nearly_full(chat: ChatPage) -> None:
    chat.mock("past = 1700")
    chat.ask("How do tides work?", "They come.")
    message_field(chat).fill("x" * 900)


def queued(chat: ChatPage) -> None:
    writing(chat)
    message_field(chat).fill("And then?")
    message_field(chat).press("Enter")


def measured(chat: ChatPage) -> None:
    settings(chat)
    chat.frame.get_by_role("button", name="How fast is this device?").click()
    chat.frame.get_by_role("button", name="Measure", exact=True).click()
    expect(chat.frame.get_by_role("table")).to_be_visible()


def measuring(chat: ChatPage) -> None:
    chat.mock("hold = true")
    settings(chat)
    chat.frame.get_by_role("button", name="How fast is this device?").click()
    chat.frame.get_by_role("button", name="Measure", exact=True).click()
    expect(chat.frame.get_by_role("dialog").get_by_role("progressbar")).to_be_visible()


def lost(chat: ChatPage) -> None:
    writing(chat)
    chat.mock("tell({code: 'gpu_lost', losses: 1})")


STATES: dict[str, tuple[Callable[[ChatPage], None], dict[str, Any]]] = {
    "first_screen": (first_screen, {}),
    "answered": (answered, {}),
    "writing": (writing, {}),
    "reading": (reading, {}),
    "editing": (editing, {}),
    "settings": (settings, {}),
    "settings_gpu": (settings, {"gpu": GPU}),
    "measured": (measured, {"gpu": GPU}),
    "measuring": (measuring, {"gpu": GPU}),
    "lost": (lost, {"gpu": GPU}),
    "model_card": (model_card, {"models": [{}, {"name": "b", "title": "B", "stored": True}]}),
    "context_full": (context_full, {}),
    "talks": (talks, {}),
    "cut_short": (cut_short, {}),
    "nearly_full": (nearly_full, {}),
    "queued": (queued, {}),
    "downloading": (downloading, {"manualOpen": True, "models": [{"stored": False}]}),
    "choosing": (choosing, {"models": [{"stored": False}, {"name": "b", "stored": False}]}),
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing(shared_page: Page, state: str, scheme: Any) -> None:
    page = shared_page
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    enter, config = STATES[state]
    chat = open_chat(page, **config)
    enter(chat)
    chat.frame.evaluate(AXE)
    violations = chat.frame.evaluate(
        """async () => {
          const { violations } = await axe.run(document, { iframes: false });
          return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html)}`);
        }"""
    )
    assert violations == []


@pytest.mark.parametrize("width", [320, 360])
def test_a_phone_never_scrolls_sideways_and_targets_are_wide(browser: Browser, width: int) -> None:
    with browser.new_context(
        viewport={"width": width, "height": 640}, has_touch=True, is_mobile=True
    ) as context:
        page = context.new_page()
        for enter, config in STATES.values():
            chat = open_chat(page, **config)
            enter(chat)
            wide = chat.frame.evaluate(
                """() => [...document.querySelectorAll('html, main, .bottom, .panel-body')]
                  .filter((element) => element.scrollWidth > element.clientWidth)
                  .map((element) => element.tagName + '.' + element.className)
                """
            )
            assert (enter.__name__, wide) == (enter.__name__, [])
            page_width = "document.documentElement.scrollWidth"
            assert page.evaluate(page_width) == width
            assert chat.frame.evaluate(page_width) == width
            small = chat.frame.evaluate(
                """() => [...document.querySelectorAll('button:not(.url), select, textarea')]
                  .filter((element) => element.checkVisibility())
                  .filter((element) => element.getBoundingClientRect().height < 44)
                  .map((element) => element.outerHTML)
                """
            )
            assert (enter.__name__, small) == (enter.__name__, [])


def test_the_composer_stays_in_sight_above_a_virtual_keyboard(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 300})
    chat = open_chat(page)
    answered(chat)
    box = message_field(chat).bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 300


# ---- keyboard


def test_a_finished_answer_is_announced_whole_and_once(chat: ChatPage) -> None:
    chat.send("Hello")
    chat.frame.evaluate(
        """() => {
          globalThis.announced = [];
          const region = document.querySelector('[aria-live=polite]');
          const note = () => region.textContent && announced.push(region.textContent);
          new MutationObserver(note).observe(region, { childList: true });
        }"""
    )
    for piece in ["One **two", "** three", "."]:
        chat.mock(f"emit('{piece}')")
    assert chat.frame.evaluate("announced.filter((text) => text.includes('One'))") == []
    chat.mock("finish()")
    expect(live_region(chat)).to_have_text("SmolLM2: One two three.")
    chat.drawn()
    said = chat.frame.evaluate("announced.filter((text) => text.includes('One'))")
    assert said == ["SmolLM2: One two three."]


def test_the_page_has_landmarks_and_turns_are_named_articles(chat: ChatPage) -> None:
    chat.ask("Hello", "## Hi")
    for role in ("banner", "main", "contentinfo"):
        expect(chat.frame.get_by_role(role)).to_have_count(1)
    expect(chat.frame.get_by_role("article", name="You")).to_contain_text("Hello")
    expect(chat.frame.get_by_role("article", name="SmolLM2")).to_contain_text("Hi")
    # An answer's own headings stand below those of the page.
    expect(chat.frame.get_by_role("heading", name="Hi")).to_have_js_property("tagName", "H4")


def test_that_the_model_is_ready_is_announced(shared_page: Page) -> None:
    chat = open_chat(shared_page, manualOpen=True, models=[{"stored": False}])
    chat.drawn()
    expect(live_region(chat)).to_have_text("")
    chat.mock("opened()")
    expect(live_region(chat)).to_have_text("SmolLM2 is ready.")


# ---- what a person prefers


def test_colours_follow_the_system_until_one_chooses(page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    chat = open_chat(page)
    paper = "getComputedStyle(document.body).backgroundColor"
    assert chat.frame.evaluate(paper) == "rgb(16, 20, 19)"
    chat.frame.get_by_role("button", name="Switch to light colours").click()
    assert chat.frame.evaluate(paper) == "rgb(251, 252, 251)"
    chat.frame.get_by_role("button", name="Switch to dark colours").click()
    assert chat.frame.evaluate(paper) == "rgb(16, 20, 19)"


def test_less_motion_means_none(page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    chat = open_chat(page)
    reading(chat)
    assert chat.frame.evaluate("document.getAnimations().length") == 0


def test_the_view_follows_the_words_until_one_scrolls_away(page: Page) -> None:
    page.set_viewport_size({"width": 800, "height": 400})
    chat = open_chat(page)
    chat.send("Hello")
    chat.mock("emit('a line\\n\\n'.repeat(30))")
    from_end = "(m) => Math.round(m.scrollHeight - m.scrollTop - m.clientHeight)"
    main = chat.frame.get_by_role("main")
    assert main.evaluate(from_end) == 0
    jump = chat.frame.get_by_role("button", name="Jump to the latest")
    expect(jump).to_be_hidden()
    main.evaluate("(main) => { main.scrollTop = 0; }")
    expect(jump).to_be_visible()
    chat.mock("emit('another line\\n\\n')")
    assert main.evaluate("(main) => main.scrollTop") == 0
    jump.click()
    assert main.evaluate(from_end) == 0
    chat.mock("emit('a last line\\n\\n')")
    assert main.evaluate(from_end) == 0


TALLER = """(than) => new Promise((end) => {
  const look = () => (mock.paper > than ? end(mock.paper) : requestAnimationFrame(look));
  look();
})"""


def test_print_gives_every_turn_dark_on_white_and_nothing_to_press(chat: ChatPage) -> None:
    chat.page.emulate_media(color_scheme="dark")
    words = "\n".join(f"Line {i}" for i in range(60))
    chat.ask(words, "\n\n".join(f"Paragraph {i} " + "word " * 60 for i in range(30)))
    first = chat.frame.evaluate(TALLER, 3000)
    long_line = "x = " + "1 + " * 200
    chat.ask("And?", f"```python\n{long_line}\n```\n\n<details>\n\nHidden.\n\n</details>\n\nLast.")
    place = chat.frame.evaluate("document.querySelector('.scroll').scrollTop")
    height = chat.frame.evaluate(TALLER, first)
    assert chat.frame.evaluate("document.querySelector('.scroll').scrollTop") == place
    expect(message_field(chat)).to_be_focused()
    # The shell of this page is empty: what it does with the height is done here. How the sheets are
    # filled is test_print.py's; on one that is as low as this window, all is in one piece.
    chat.page.evaluate(
        "(px) => document.documentElement.style.setProperty('--paper-height', `${px}px`)", height
    )
    chat.page.emulate_media(media="print", color_scheme="dark")
    chat.frame.evaluate(
        """() => new Promise((end) => {
          const look = () => (innerWidth === 716 ? end() : requestAnimationFrame(look));
          look();
        })"""
    )
    found = chat.frame.evaluate(
        """() => {
          const clipped = [...document.querySelectorAll('.app, .app *')].filter((element) =>
            element.checkVisibility() && !element.closest('math, .offscreen, .icon, .top') &&
            getComputedStyle(element).overflow !== 'visible' &&
            (element.scrollHeight > element.clientHeight + 1 ||
              element.scrollWidth > element.clientWidth + 1));
          const luminance = (colour) => Math.max(...colour.match(/\\d+/g).slice(0, 3).map(Number));
          const style = getComputedStyle(document.querySelector('.prose p'));
          return {
            clipped: clipped.map((element) => element.className),
            height: document.querySelector('.scroll').getBoundingClientRect().bottom,
            ink: luminance(style.color),
            pressed: [...document.querySelectorAll('.turn button, .bottom, .tools')]
              .filter((element) => element.checkVisibility()).map((element) => element.className),
            hidden: document.querySelector('details p').checkVisibility(),
          };
        }"""
    )
    chat.page.emulate_media(media="screen", color_scheme="light")
    assert found["clipped"] == []
    assert found["pressed"] == []
    assert found["hidden"]
    assert found["ink"] < 60
    # A little too tall is harmless, too low would cut.
    assert 0 <= height - found["height"] < 100
