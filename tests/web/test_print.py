"""The released page on paper: the frame is sliced where a sheet ends, and no line may be."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from slmweb.server.app import Folders, create_app
from tests.web.conftest import ROOT, pack_bytes
from tests.web.pdf import Document, read_pdf
from tests.web.serving import serve

MARGINS = dict.fromkeys(("top", "bottom", "left", "right"), "0.4in")
TURNS = 6


def conversation() -> tuple[str, int]:
    """A saved conversation whose words are numbered, and how many there are."""
    numbers = count(1)

    def words(n: int) -> str:
        return " ".join(f"w{next(numbers):05d}" for _ in range(n))

    turns: list[dict[str, Any]] = []
    for turn in range(TURNS):
        rows = "\n".join(f"| {words(1)} | {words(1)} |" for _ in range(5))
        code = "\n".join(words(3) for _ in range(50 if turn == 1 else 5))
        items = f"1. {words(40)}\n2. {words(4)}\n\n- [x] {words(3)}"
        answer = [
            words(130), f"## {words(2)}", words(50 + 31 * turn), items, f"```python\n{code}\n```",
            f"| {words(1)} | {words(1)} |\n|--|--|\n{rows}", f"> {words(60)}",
            f"<details>\n\n{words(30)}\n\n</details>", words(90),
        ]  # fmt: skip
        for role, who, text in (
            ("user", "You", words(12)),
            ("assistant", "Toy", "\n\n".join(answer)),
        ):
            parent = len(turns) - 1 if turns else None
            saved = {"role": role, "who": who, "text": text, "parent": parent}
            turns.append({**saved, "chosen": True, "cut": None})
    return json.dumps({"format": "slmweb-conversation", "version": 1, "turns": turns}), (
        next(numbers) - 1
    )


@pytest.fixture(scope="module")
def shown(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The conversation in the released page. The model does not open, and need not."""
    folder = tmp_path_factory.mktemp("print")
    pack_bytes(folder / "models", "toy", [[1000]])
    saved = folder / "talk.json"
    saved.write_text(conversation()[0])
    folders = Folders(ROOT / "dist/web", ROOT / "dist/wasm", folder / "models")
    with serve(create_app(folders)) as site, browser.new_context() as context:
        page = context.new_page()
        page.goto(site.url)
        open_saved(page, saved)
        # The frame has told how much paper it takes.
        root = page.locator("html")
        expect(root).to_have_attribute("style", re.compile(r"--sheets-0: ([6-9]|\d\d);"))
        yield page


def open_saved(page: Page, saved: Path) -> None:
    frame = page.frame_locator("iframe#sandbox")
    frame.get_by_role("button", name="Conversations").click()
    frame.locator("dialog[open] input[type=file]").set_input_files(saved)
    expect(frame.locator(".turn.assistant")).to_have_count(TURNS)


@pytest.mark.parametrize(
    ("paper", "text_height"),
    [
        pytest.param({"format": "A4"}, 1040, id="A4"),
        pytest.param({"format": "A4", "margin": MARGINS}, 960, id="A4-margins"),
        pytest.param({"width": "210mm", "height": "297mm"}, 1040, id="A4-exact"),
        pytest.param({"format": "A4", "landscape": True}, 700, id="A4-landscape"),
        pytest.param({"format": "A4", "scale": 0.8}, 1040, id="A4-small-print"),
        pytest.param({"format": "Letter"}, 960, id="Letter"),
        pytest.param({"format": "A5"}, 700, id="A5"),
    ],
)
def test_every_line_is_whole_and_there_once(
    shown: Page, paper: dict[str, Any], text_height: int
) -> None:
    document = read_pdf(shown.pdf(**paper))
    found = Counter(re.findall(r"w\d{5}", "".join(run.text for run in document.runs)))
    # A line that is cut is drawn on both sheets.
    assert [word for word, n in found.items() if n != 1] == []
    assert len(found) == conversation()[1]
    in_order(document)
    for run in document.runs:
        assert run.top > 0
        assert run.bottom < document.height
    # No sheet is empty, and each keeps a margin above and below its text.
    assert {run.page for run in document.runs} == set(range(document.pages))
    scale = paper.get("scale", 1) * (0.7 if paper.get("format") == "A5" else 1)
    for sheet in range(document.pages):
        runs = [run for run in document.runs if run.page == sheet]
        high = max(run.bottom for run in runs) - min(run.top for run in runs)
        assert high <= text_height * 0.75 * max(scale, 0.8)


def in_order(document: Document) -> None:
    """A heading is followed by what it heads, on the same sheet, and a speaker by what is said."""
    lines = document.lines()
    for line, following in pairwise(lines):
        if line.text.strip() in ("You", "Toy"):
            assert following.page == line.page


def test_a_short_conversation_takes_one_sheet(shown: Page) -> None:
    page = shown.context.new_page()
    page.goto(shown.url)
    expect(page.frame_locator("iframe#sandbox").locator("#message")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("style", re.compile("--sheets-0: 1;"))
    assert read_pdf(page.pdf(format="A4")).pages == 1
    page.close()


def test_the_style_sheets_have_the_heights_that_are_measured() -> None:
    source = (ROOT / "web/src/seal/paper.ts").read_text()
    listed = re.search(r"TEXT_HEIGHTS = \[([\d, ]+)\]", source)
    assert listed is not None
    heights = [int(n) for n in listed[1].split(",")]
    inside = (ROOT / "web/src/chat/print.css").read_text()
    assert [int(n) for n in re.findall(r"min\((\d+)px, var\(--is-\d\)\)", inside)] == heights
    outside = (ROOT / "web/src/seal/shell.css").read_text()
    least = [int(n) for n in re.findall(r"@media print and \(min-height: (\d+)px\) \{", outside)]
    # The lowest sheet that takes such a text has room for both margins.
    assert (
        least
        == [height + margin for height, margin in zip(heights, (82, 82, 84), strict=True)][::-1]
    )
