"""How a model's words are shown: Markdown as it is written, code, addresses, and
hostile output, which must stay words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.web.chat_page import ORIGIN, ChatPage, open_chat

SAMPLE = """\
Tides *rise* and **fall**, see `tide()` and [the table](https://example.org/t?x=1).

1. The Moon pulls.
2. The Earth turns.
   - twice a day

## How high

| Place | Range |
|:--|--:|
| Fundy | 11.7 m |

> Not the season.

```python
def tide() -> str:
    return "**high**"
```

- [x] done
- [ ] open

Setext is rare
---

The end.
"""

HOSTILE = [
    "<script>globalThis.pwned = 1</script>",
    "<img src=x onerror='globalThis.pwned = 1'>",
    "<img src='https://leak.test/pixel.png'>",
    "![pixel](https://leak.test/pixel.png)",
    "<svg onload='globalThis.pwned = 1'><script>globalThis.pwned = 1</script></svg>",
    "<iframe src='https://leak.test/'></iframe>",
    "<iframe srcdoc='<script>parent.pwned = 1</script>'></iframe>",
    "<a href='https://leak.test/'>click</a> <area href='https://leak.test/'>",
    "[click](javascript:globalThis.pwned=1)",
    "[click](data:text/html,<script>globalThis.pwned=1</script>)",
    "<javascript:globalThis.pwned=1>",
    "[a]: https://leak.test/ref\n\n[a] and ![a]",
    "<form action='https://leak.test/'><input autofocus onfocus='globalThis.pwned = 1'></form>",
    "<style>body { background: url(https://leak.test/css) }</style>",
    "<div style='background: url(https://leak.test/css)'>styled</div>",
    "<link rel=stylesheet href='https://leak.test/a.css'><link rel=prerender href='https://leak.test/'>",
    "<meta http-equiv=refresh content='0;url=https://leak.test/'><base href='https://leak.test/'>",
    "<object data='https://leak.test/'></object><embed src='https://leak.test/'>",
    "<video src='https://leak.test/v'><source src='https://leak.test/s'></video>",
    "<math><mtext><table><mglyph><style><!--</style>"
    "<img title='--&gt;&lt;img src=1 onerror=globalThis.pwned=1&gt;'>",
    "<form id=root><input name=children></form><div id=message class='send'></div>",
    '```html onmouseover=alert(1)" x="\n<b>hi</b>\n```',
    "`<img src=x onerror=globalThis.pwned=1>` and &lt;img src=x onerror=globalThis.pwned=1&gt;",
    "| <img src=x onerror=globalThis.pwned=1> |\n|--|\n| <script>globalThis.pwned=1</script> |",
    "<details open ontoggle='globalThis.pwned = 1'><summary>x</summary></details>",
    '[x](https://e.test/"onmouseover="globalThis.pwned=1)',
    "<span data-url='https://leak.test/'>raw</span><p class='offscreen'>hidden?</p>",
]

ALLOWED = {
    *["P", "BR", "HR", "STRONG", "EM", "DEL", "CODE", "PRE", "BLOCKQUOTE", "UL", "OL", "LI"],
    *["SPAN", "H3", "H4", "H5", "H6", "TABLE", "THEAD", "TBODY", "TR", "TH", "TD"],
    *["DIV", "FIGURE", "FIGCAPTION", "BUTTON"],  # ours
}


@pytest.fixture(scope="module")
def shared_page(browser: Browser) -> Iterator[Page]:
    """One page for many tests: each opens its own chat in it, which starts from nothing."""
    with browser.new_context() as context:
        yield context.new_page()


@pytest.fixture
def chat(shared_page: Page) -> ChatPage:
    return open_chat(shared_page)


def prose(chat: ChatPage) -> Locator:
    return chat.frame.locator(".turn.assistant .prose")


def write(chat: ChatPage, text: str, step: int = 1) -> None:
    """Lets the model write `text` in pieces, each drawn before the next one comes."""
    chat.frame.evaluate(
        """async ([text, step]) => {
          const frame = () => new Promise((end) => requestAnimationFrame(end));
          for (let i = 0; i < text.length; i += step) {
            mock.emit(text.slice(i, i + step));
            await new Promise((end) => setTimeout(end)); // the chat asks for its frame first
            await frame();
            globalThis.seen?.();
          }
        }""",
        [text, step],
    )


def test_markdown_becomes_structure(chat: ChatPage) -> None:
    chat.ask("Tides?", SAMPLE)
    shown = prose(chat)
    expect(shown.locator("em")).to_have_text(["rise"])
    expect(shown.locator("strong")).to_have_text(["fall"])
    expect(shown.locator("p code")).to_have_text(["tide()"])
    expect(shown.locator("> ol > li")).to_have_count(2)
    expect(shown.locator("ol ul li")).to_have_text(["twice a day"])
    expect(shown.locator("h4")).to_have_text(["How high", "Setext is rare"])
    expect(shown.locator("td")).to_have_text(["Fundy", "11.7 m"])
    expect(shown.locator("blockquote")).to_have_text("Not the season.")
    expect(shown.locator("> ul > li")).to_have_text(["☑ done", "☐ open"])


def test_single_line_breaks_are_kept(chat: ChatPage) -> None:
    chat.ask("A poem?", "The sea\nat night")
    expect(prose(chat).locator("br")).to_have_count(1)


def test_no_mark_is_ever_seen_while_the_text_is_being_written(chat: ChatPage) -> None:
    chat.send("Tides?")
    chat.frame.evaluate(
        """() => {
          globalThis.texts = new Set();
          globalThis.seen = () => {
            const copy = document.querySelector('.prose').cloneNode(true);
            copy.querySelectorAll('.code').forEach((code) => code.remove());
            texts.add(copy.textContent);
          };
        }"""
    )
    write(chat, SAMPLE)
    marks = ["**", "`", "|", "](", "[", "#", ">", "--"]
    seen = chat.frame.evaluate("[...texts]")
    assert len(seen) > 100
    assert [(mark, text) for text in seen for mark in marks if mark in text] == []


def test_finished_blocks_are_left_alone_while_more_is_written(chat: ChatPage) -> None:
    chat.send("Tides?")
    first, rest = SAMPLE.split("\n\n", 1)
    write(chat, first + "\n\n1. The Moon", step=20)
    chat.frame.evaluate("() => { document.querySelector('.prose > p').kept = true; }")
    write(chat, rest.removeprefix("1. The Moon"), step=20)
    chat.mock("finish()")
    assert chat.frame.evaluate("document.querySelector('.prose > p').kept") is True
    expect(prose(chat)).to_contain_text("The end.")


def test_a_growing_code_block_keeps_its_element(chat: ChatPage) -> None:
    chat.send("Code?")
    write(chat, "```python\nx = 1\n", step=20)
    chat.frame.evaluate("() => { document.querySelector('.prose pre').kept = true; }")
    write(chat, "y = 2\n``", step=1)
    expect(prose(chat).locator("pre")).to_have_text("x = 1\ny = 2")
    write(chat, "`\n\nDone.", step=20)
    chat.mock("finish()")
    assert chat.frame.evaluate("document.querySelector('.prose pre').kept") is True
    expect(prose(chat).locator("pre")).to_have_text("x = 1\ny = 2")
    expect(prose(chat).locator("p")).to_have_text("Done.")


def test_a_code_block_has_its_language_and_copies_exactly(chat: ChatPage) -> None:
    code = 'def f():\n\treturn "<b>&amp;"'
    chat.ask("Code?", f"```python\n{code}\n```")
    figure = prose(chat).locator("figure")
    expect(figure.locator("figcaption")).to_contain_text("python")
    figure.get_by_role("button", name="Copy").click()
    field = chat.frame.get_by_role("textbox", name="Message")
    field.press("Control+V")
    assert field.input_value() == code


def test_an_unfinished_fence_is_shown_as_code(chat: ChatPage) -> None:
    chat.ask("Code?", "```\nx = 1\n# no end")
    expect(prose(chat).locator("pre")).to_have_text("x = 1\n# no end")


def test_links_and_images_become_text_with_an_address_to_copy(chat: ChatPage) -> None:
    chat.ask(
        "Where?",
        "See [the table](https://example.org/t?x=1), <https://a.test/> and ![a map](https://b.test/m.png).",
    )
    shown = prose(chat)
    expect(shown).to_have_text(
        "See the table https://example.org/t?x=1, https://a.test/ and Image: a map https://b.test/m.png."
    )
    assert shown.locator("a, img, [href], [src]").count() == 0
    shown.get_by_role("button", name="Copy the address https://example.org/t?x=1").click()
    field = chat.frame.get_by_role("textbox", name="Message")
    field.press("Control+V")
    assert field.input_value() == "https://example.org/t?x=1"
    assert chat.page.url == f"{ORIGIN}/"


def audit(chat: ChatPage) -> None:
    """Nothing of the answer is more than words."""
    found = chat.frame.evaluate(
        """() => {
          const suspect = /^on|href|src|style|action|^id$|^name$/;
          return [...document.querySelectorAll('.prose *')].map((element) => [
            element.tagName,
            element.getAttributeNames().filter((name) => suspect.test(name)),
          ]);
        }"""
    )
    assert {tag for tag, _ in found} <= ALLOWED
    assert [(tag, names) for tag, names in found if names] == []
    assert chat.frame.evaluate("globalThis.pwned ?? null") is None
    assert chat.requests == []
    assert chat.page.url == f"{ORIGIN}/"
    assert chat.console == []


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_output_stays_words(chat: ChatPage, text: str) -> None:
    chat.send("Attack me")
    write(chat, text, step=7)
    audit(chat)
    chat.mock("finish()")
    audit(chat)
    # Clicking whatever looks like something to click leads nowhere.
    for element in prose(chat).locator("button").all():
        element.click()
    audit(chat)
    expect(chat.frame.get_by_role("textbox", name="Message")).to_be_visible()


def test_raw_html_is_shown_and_not_swallowed(chat: ChatPage) -> None:
    chat.ask("HTML?", "A <b>bold</b> move and\n\n<div>\n  <p>hi</p>\n</div>")
    expect(prose(chat).locator("p")).to_have_text("A <b>bold</b> move and")
    expect(prose(chat).locator("pre")).to_have_text("<div>\n  <p>hi</p>\n</div>")


def test_a_hostile_question_stays_words_too(chat: ChatPage) -> None:
    text = "<img src=x onerror='globalThis.pwned = 1'> **not bold**"
    chat.ask(text, "No.")
    expect(chat.frame.locator(".question")).to_have_text(text)
    assert chat.frame.evaluate("globalThis.pwned ?? null") is None


def test_pathological_markdown_does_not_hang(chat: ChatPage) -> None:
    text = "[" * 2000 + "*a " * 2000 + "`" * 501 + "> " * 300 + "|" * 2000
    chat.send("Attack me")
    chat.mock(f"emit({json.dumps(text)})")
    chat.mock("finish()")
    expect(chat.frame.get_by_role("button", name="Retry")).to_be_visible()


def test_each_paragraph_has_its_own_direction(chat: ChatPage) -> None:
    chat.ask("كيف حالك؟", "بخير، شكراً.\n\nFine, thanks.")
    directions = "(all) => all.map((element) => getComputedStyle(element).direction)"
    assert chat.frame.locator(".prose p").evaluate_all(directions) == ["rtl", "ltr"]
    assert chat.frame.locator(".question").evaluate_all(directions) == ["rtl"]
