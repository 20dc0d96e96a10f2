"""How a model's words are shown: Markdown as it is written, code, addresses, and
hostile output, which must stay words.
"""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Locator, expect

from tests.web.chat_page import ORIGIN, ChatPage, message_field

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
    r"\(\includegraphics{//leak.test/x}\) $$\href{//leak.test/}{x}$$ $\url{http://leak.test}$",
    r"$$\text{<img src=x onerror=pwned=1>}$$ \(\mathrm{\text{</math><script>pwned=1</script>}}\)",
    r"\(\htmlStyle{background:url(//leak.test/)}{x}\) $$\style{color:url(//leak.test/c)}{x}$$",
    r"\(\color{url(https://leak.test/c)}x\) \(\def\a{\a\a}\a\) $$\rule{99999em}{99999em}$$",
    "<details><summary><img src=x onerror=pwned=1></summary><svg onload=pwned=1></details>",
    "<sub onclick=globalThis.pwned=1>x</sub><sup><img src=x onerror=globalThis.pwned=1></sup>",
    'x[^1] y[^a"onclick=1]\n\n[^1]: <img src=https://leak.test/n> [b](https://leak.test/)',
    "```python\n<img src=x onerror=pwned=1> # </span><script>globalThis.pwned=1</script>\n```",
    "<span data-math='\\\\href' data-note='1'>raw</span>",
    "<span data-url='https://leak.test/'>raw</span><p class='offscreen'>hidden?</p>",
]

ALLOWED = {
    *["P", "BR", "HR", "STRONG", "EM", "DEL", "CODE", "PRE", "BLOCKQUOTE", "UL", "OL", "LI"],
    *["SPAN", "H3", "H4", "H5", "H6", "TABLE", "THEAD", "TBODY", "TR", "TH", "TD"],
    *["SUB", "SUP", "DETAILS", "SUMMARY"],
    *["DIV", "FIGURE", "FIGCAPTION", "BUTTON"],  # ours
    *[
        "math",
        "mrow",
        "mi",
        "mn",
        "mo",
        "mtext",
        "mfrac",
        "msub",
        "msup",
        "mspace",
        "mtable",
        "mtr",
        "mtd",
    ],
}


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
    expect(shown.locator("> ul > li")).to_have_text(["done", "open"])


TASKS = """\
- [x] Pack the *bag*
  - [ ] with [the map](https://example.org/map)
- [X] Lock up

  and leave the key
- no task
1. [ ] Go
"""


def test_tasks_are_boxes_with_labels_that_nobody_can_tick(chat: ChatPage) -> None:
    chat.send("What is left?")
    write(chat, TASKS, step=3)
    chat.mock("finish()")
    shown = prose(chat)
    boxes = shown.get_by_role("checkbox")
    expect(boxes).to_have_count(4)
    found = boxes.evaluate_all(
        "(all) => all.map((box) => [box.labels[0].innerText.trim(), box.checked, box.disabled])"
    )
    assert [done for _, done, _ in found] == [True, False, True, False]
    assert all(disabled for *_, disabled in found)
    assert [text for text, *_ in found] == [
        "Pack the bag", "with the map https://example.org/map", "Lock up", "Go",
    ]  # fmt: skip
    expect(shown.get_by_role("checkbox", name="Pack the bag", checked=True)).to_be_visible()
    expect(shown.locator("li")).to_have_count(5)
    # A box takes the place of its item's mark; others keep theirs.
    marks = "(all) => all.map((item) => getComputedStyle(item).listStyleType)"
    assert shown.locator("li").evaluate_all(marks) == ["none", "none", "none", "disc", "none"]
    # Who hears the answer hears what is done.
    expect(chat.frame.get_by_role("status")).to_contain_text("☑ Pack the bag")


def test_tasks_are_copied_as_they_were_written(chat: ChatPage) -> None:
    chat.ask("What is left?", TASKS)
    chat.frame.locator(".turn.assistant [data-action=copy]").click()
    field = chat.frame.locator("#message")
    field.press("Control+V")
    expect(field).to_have_value(TASKS)


def test_no_item_of_a_growing_list_is_ever_gone(chat: ChatPage) -> None:
    chat.send("Tides?")
    chat.frame.evaluate(
        """() => {
          globalThis.counts = [];
          globalThis.seen = () => counts.push(document.querySelectorAll('.prose li').length);
        }"""
    )
    write(chat, "- one\n- two\n\n  and more\n- [x] three\n\n1. four\n2. five\n")
    counts = chat.frame.evaluate("counts")
    assert counts == sorted(counts)
    chat.mock("finish()")
    expect(prose(chat).locator("li")).to_have_count(5)


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
    field = message_field(chat)
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
    field = message_field(chat)
    field.press("Control+V")
    assert field.input_value() == "https://example.org/t?x=1"
    assert chat.page.url == f"{ORIGIN}/"


def audit(chat: ChatPage) -> None:
    """Nothing of the answer is more than words."""
    found = chat.frame.evaluate(
        """() => {
          const suspect = /^on|href|src|style|action|^id$|^name$/;
          // The styles of formulas are lengths, borders and colours.
          const isPlain = (element, name) => name === 'style' &&
            element instanceof MathMLElement && !/[(]/.test(element.style.cssText);
          return [...document.querySelectorAll('.prose *')].map((element) => [
            element.tagName,
            element.getAttributeNames()
              .filter((name) => suspect.test(name) && !isPlain(element, name)),
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
    expect(message_field(chat)).to_be_visible()


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


# ---- mathematics

FORMULAS = r"""The roots \(x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}\,\) and $E = mc^2$ for any $n$.

\[
\int_0^1 x\,dx = \frac12
\]

Then:
$$
\begin{aligned} a &= b_1 * c_1 * d \\ c &= d \end{aligned}
$$
and \(a_1*b_1*c\) is *not* emphasis.

\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}

1. In a list:

   \[ \sum_{i=1}^n i \]
"""


def test_mathematics_in_every_delimiter_becomes_mathml(chat: ChatPage) -> None:
    chat.ask("Formulas?", FORMULAS)
    shown = prose(chat)
    expect(shown.locator("p math")).to_have_count(4)
    expect(shown.locator("> .formula > math[display=block]")).to_have_count(3)
    expect(shown.locator("li .formula > math")).to_have_count(1)
    expect(shown.locator("mfrac")).to_have_count(2)
    expect(shown.locator("em")).to_have_text(["not"])
    expect(shown.locator("mtd")).to_have_count(8)
    expect(shown.locator(".tex")).to_have_count(0)
    assert "\\" not in shown.inner_text()
    sizes = shown.locator("math").evaluate_all(
        "(all) => all.map((m) => m.getBoundingClientRect().height)"
    )
    assert all(size > 5 for size in sizes)


@pytest.mark.parametrize(
    "text",
    [
        "It costs $5 and $10.",
        "From $20/month up to $300 a year, or US$5=A$7.",
        "Set $HOME and $PATH, then echo $HOME/$USER.",
        "Pay $5 for one, or 9$ for two.",
        "`$x^2$` is code.",
    ],
)
def test_dollars_that_are_money_or_variables_stay_dollars(chat: ChatPage, text: str) -> None:
    chat.ask("Price?", text)
    expect(prose(chat).locator("p")).to_have_text(text.replace("`", ""))
    expect(prose(chat).locator("math")).to_have_count(0)


@pytest.mark.parametrize(
    "source",
    [r"\(\nosuchcommand{x}\)", r"\[ \frac{1 \]", r"$$\begin{aligned} a$$", r"$\left( x^2$"],
)
def test_what_is_no_tex_is_shown_as_it_was_written(chat: ChatPage, source: str) -> None:
    chat.ask("Formula?", f"See {source} there.")
    expect(prose(chat).locator("p")).to_have_text(f"See {source} there.", use_inner_text=True)
    expect(prose(chat).locator("math")).to_have_count(0)


def test_no_piece_of_a_formula_or_tag_is_seen_while_the_text_is_being_written(
    chat: ChatPage,
) -> None:
    text = FORMULAS + "\nWater is H<sub>2</sub>O.[^1]\n\n[^1]: Or $x_1$, for $5."
    chat.send("Formulas?")
    chat.frame.evaluate(
        """() => {
          globalThis.texts = new Set();
          globalThis.seen = () => {
            const copy = document.querySelector('.prose').cloneNode(true);
            copy.querySelectorAll('math').forEach((math) => math.remove());
            texts.add(copy.textContent);
          };
        }"""
    )
    write(chat, text)
    marks = ["\\", "$$", "$E", "$n", "$x", "_", "{", "<", "[", "^", "&"]
    seen = chat.frame.evaluate("[...texts]")
    assert len(seen) > 50
    assert [(mark, shown) for shown in seen for mark in marks if mark in shown] == []
    chat.mock("finish()")
    expect(prose(chat).locator("math")).to_have_count(9)


# ---- code, markup, notes


def test_code_is_coloured_once_it_is_whole(chat: ChatPage) -> None:
    chat.send("Code?")
    code = 'def f(x):\n    return "a" + str(12)  # <why>'
    write(chat, f"```python\n{code}", step=10)
    expect(prose(chat).locator("pre span")).to_have_count(0)
    write(chat, "\n```\n\nDone", step=10)
    expect(prose(chat).locator("pre .hljs-keyword")).to_have_text(["def", "return"])
    expect(prose(chat).locator("pre .hljs-comment")).to_have_text(["# <why>"])
    chat.mock("finish()")
    assert prose(chat).locator("pre").text_content() == code


def test_code_of_an_unknown_language_stays_plain(chat: ChatPage) -> None:
    chat.ask("Code?", "```klingon\nif x: 1\n```\n\n```\nif x: 1\n```")
    expect(prose(chat).locator("pre")).to_have_text(["if x: 1", "if x: 1"])
    expect(prose(chat).locator("pre span")).to_have_count(0)


def test_subscripts_details_and_footnotes_are_what_people_expect(chat: ChatPage) -> None:
    chat.ask(
        "Chemistry?",
        "H<sub>2</sub>O, x<sup>*n*</sup>.[^1]\n\n<details>\n<summary>Why **so**</summary>\n\n"
        "- one\n\n"
        "```js\nlet x\n```\n\n</details>\n\nEnd.\n\n[^1]: A note.",
    )
    shown = prose(chat)
    expect(shown.locator("sub")).to_have_text(["2"])
    expect(shown.locator("sup em")).to_have_text(["n"])
    expect(shown.locator("summary strong")).to_have_text("so")
    expect(shown.locator("details pre")).not_to_be_visible()
    shown.locator("summary").focus()
    shown.locator("summary").press("Enter")
    expect(shown.locator("details pre")).to_be_visible()
    mark = shown.get_by_role("button", name="Footnote 1", exact=True)
    mark.focus()
    mark.press("Enter")
    expect(shown.locator("[data-noted]")).to_be_focused()
    shown.get_by_role("button", name="Footnote 1, back to the text").press("Enter")
    expect(mark).to_be_focused()


def test_details_stay_open_while_their_text_is_being_written(chat: ChatPage) -> None:
    chat.send("More?")
    write(chat, "<details>\n<summary>More</summary>\n\nFirst.\n", step=8)
    prose(chat).locator("summary").click()
    write(chat, "\nSecond part.\n\n</details>\n\nEnd.", step=4)
    chat.mock("finish()")
    expect(prose(chat).get_by_text("Second part.")).to_be_visible()
    expect(prose(chat).locator("> p")).to_have_text("End.")


# ---- questions


def test_fences_in_a_question_are_code_and_all_else_is_literal(chat: ChatPage) -> None:
    chat.ask("Why **this**?\n\n```python\nx = '<b>'\n```\n$x^2$ & <b>", "So.")
    question = chat.frame.locator(".question")
    expect(question.locator("pre")).to_have_text("x = '<b>'")
    expect(question.locator("pre .hljs-string")).to_have_text("'<b>'")
    expect(question).to_contain_text("Why **this**?")
    expect(question).to_contain_text("$x^2$ & <b>")
    expect(question.locator("strong, math, b")).to_have_count(0)


def test_a_long_question_folds_and_unfolds(chat: ChatPage) -> None:
    text = "\n".join(f"Line {i}" for i in range(60))
    chat.ask(text, "So.")
    question = chat.frame.locator(".question")
    fold = chat.frame.get_by_role("button", name="Show all")
    expect(fold).to_have_attribute("aria-expanded", "false")
    height = "(element) => element.getBoundingClientRect().height"
    low = question.evaluate(height)
    fold.focus()
    fold.press("Enter")
    assert question.evaluate(height) > 3 * low
    expect(chat.frame.get_by_role("button", name="Show less")).to_be_focused()
    assert question.text_content() == text


def test_a_long_answer_costs_as_much_at_its_end_as_at_its_start(chat: ChatPage) -> None:
    """Counts changed nodes, not time."""
    chat.send("Much?")
    chat.frame.evaluate(
        """() => {
          globalThis.changes = 0;
          new MutationObserver((records) => {
            for (const { addedNodes, removedNodes } of records)
              changes += addedNodes.length + removedNodes.length;
          }).observe(document.querySelector('.prose'), { childList: true, subtree: true });
        }"""
    )
    part = (
        "\n".join(f"{i}. Item *number* {i}" for i in range(1, 20)) + "\n\nWords $x_1$ and more.\n\n"
    )
    counts = []
    for _ in range(20):
        before = chat.frame.evaluate("changes")
        write(chat, part, step=100)
        counts.append(chat.frame.evaluate("changes") - before)
    assert max(counts[5:]) <= 2 * counts[1]
    # Of a list that grows, only the last items are made again.
    chat.mock("emit('\\n\\n')")
    many = "".join(f"- item {i}\n" for i in range(300))
    write(chat, many, step=120)
    before = chat.frame.evaluate("changes")
    write(chat, "- one more\n- and\n", step=3)
    assert chat.frame.evaluate("changes") - before < 60
