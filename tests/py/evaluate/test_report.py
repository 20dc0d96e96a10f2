"""The report in its three forms, from results that no model had to make."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from slmweb.evaluate.data import Item, Task
from slmweb.evaluate.metrics import HEADLINE, summarize
from slmweb.evaluate.prompts import Wording
from slmweb.evaluate.report import markdown, table, write_reports
from slmweb.evaluate.report.figures import changes, number, short_names, verdicts
from slmweb.evaluate.report.files import html
from slmweb.evaluate.report.svg import Point, scatter, ticks
from slmweb.evaluate.run import Candidate, Evaluated, Result, _add_intervals
from slmweb.evaluate.tasks import Settings

HOSTILE = "<script>alert('|')</script> & [x](http://example.com) 語 🦔"
LABELS = ("a", "b", HOSTILE)
VOID = {"meta", "line", "br", "link", "img"}


def record(prediction: int, right: int, **more: Any) -> dict[str, Any]:
    logprobs = [-3.0, -3.0, -3.0]
    logprobs[prediction] = -0.5
    timing = {
        "prefill_tokens": 30, "prefill_seconds": 0.5, "decode_tokens": 8, "decode_seconds": 0.4,
        "first_token_seconds": 0.5,
    }  # fmt: skip
    return {
        "prediction": prediction, "logprobs": logprobs, "n_bytes": [1, 1, 9], "text": "x",
        "nll": 1.0, "tokens": 2, "bytes": 3, "timing": timing, **more,
    }  # fmt: skip


def result(*wrong: set[int], task: Task = "classify", n: int = 30) -> Result:
    """One model for each set of items that it gets wrong; the first is the reference."""
    items = [
        Item(i + 1, "", text=f"{HOSTILE} {i}", expected=(LABELS[i % 3],), choices=LABELS,
             answer=i % 3)
        for i in range(n)
    ]  # fmt: skip
    made = Result(task, "my|data.jsonl", items, Settings(Wording(task)), seed=1)
    for index, missed in enumerate(wrong):
        more: dict[str, Any] = {"kl": [0.25, 0.75], "flips": 1} if index else {}
        records = [record((i + 1) % 3 if i in missed else i % 3, i % 3, **more) for i in range(n)]
        made.models.append(
            Evaluated(
                model=Candidate(Path(), f"Model-1B.Q{index}", 10**9 >> index, "0", {}, 307),
                is_reference=index == 0,
                runtime="wasmtime, relaxed",
                reused=0,
                records=records,
                metrics=summarize(task, items, records),
            )
        )
    _add_intervals(made)
    return made


class Page(HTMLParser):
    """Checks that elements nest, and takes down what could load anything."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.addresses: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.addresses += [f"{k}={v}" for k, v in attrs if k in ("src", "href", "srcset", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize("task", ["classify", "choice", "chat", "generate", "perplexity"])
def test_the_page_is_whole_and_loads_nothing(task: Task) -> None:
    text = html(result(set(), {1, 2}, {3}, task=task))
    page = Page(text)
    assert page.addresses == []
    assert not set(page.seen) & {"script", "link", "img", "iframe", "object", "base", "form"}
    assert "url(" not in text
    assert "@import" not in text
    styles = re.sub(r"<[^>]*>", "", text.partition("</style>")[0])
    assert "http" not in styles
    assert "prefers-color-scheme: dark" in text
    assert "default-src 'none'" in text
    assert page.seen.count("svg") == 1 + (3 if task in ("classify", "choice") else 0)


def test_text_of_the_data_stays_text() -> None:
    made = result(set(), {1, 2})
    page = Page(html(made))
    assert f"{HOSTILE} 1" in page.words
    text = markdown(made)
    assert "<script>" not in text
    # A pipe in the data neither ends a cell nor begins one.
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_the_answer_comes_first() -> None:
    made = result(set(), set(), {1, 2}, set(range(12)))
    same, little, much = verdicts(made)
    assert (same.headline, same.tone) == ("accuracy 100.0% (was 100.0%)", "same")
    assert "Nothing changed on 30 items." in same.details
    assert "500.0 MB, 50% of the size of Model-1B.Q0." in same.details
    assert "KL 0.5000 nats, another likeliest token at 50.0% of 60 positions." in same.details
    assert (little.headline, little.tone) == ("accuracy 93.3% (was 100.0%: −6.7 points)", "unknown")
    assert "so 30 items cannot tell it from chance." in little.details
    assert (much.headline, much.tone) == ("accuracy 60.0% (was 100.0%: −40.0 points)", "worse")
    assert much.details.count("a loss.") == 1
    text = html(made)
    assert text.index(much.headline) < text.index("<table")


def test_one_model_alone() -> None:
    made = result({1, 2, 3})
    (only,) = verdicts(made)
    assert only.headline == "accuracy 90.0%"
    assert only.details.startswith("On 30 items; 95% interval ")
    assert Page(html(made)).seen.count("svg") == 1  # the reliability diagram


def test_lower_perplexity_is_better() -> None:
    made = result(set(), set(), task="perplexity")
    for index, entry in enumerate(made.models[1].records):
        entry["nll"] = 0.5 + index / 1000
    made.models[1].metrics = summarize("perplexity", made.items, made.models[1].records)
    _add_intervals(made)
    assert verdicts(made)[0].tone == "better"


def test_changed_items_are_listed_losses_first() -> None:
    made = result({4}, {1, 2})
    listed, lost, won = changes(made, made.models[1])
    assert [(c.line, c.lost) for c in listed] == [(2, True), (3, True), (5, False)]
    assert (lost, won) == (2, 1)
    assert (listed[0].expected, listed[0].before, listed[0].after) == ("b", "b", HOSTILE)
    assert len(changes(made, made.models[1], most=1)[0]) == 1


@pytest.mark.parametrize("task", ["chat", "generate"])
def test_what_was_written_can_be_read(task: Task) -> None:
    made = result(set(), {1}, task=task)
    for index, found in enumerate(made.models):
        for i, entry in enumerate(found.records):
            entry["text"] = f"{HOSTILE} says {index} of {i}"
    page = Page(html(made))
    assert f"{HOSTILE} says 0 of 0" in page.words
    assert f"{HOSTILE} says 1 of 19" in page.words
    assert "says 0 of 20" not in page.words
    assert "Answers: the first 20 of 30" in page.words
    text = markdown(made)
    assert "says 1 of 19" in text
    assert "<script>" not in text


def test_the_files(tmp_path: Path) -> None:
    made = result(set(), {1})
    made.models[1].metrics["perplexity"] = float("inf")
    write_reports(made, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"report.html", "report.md", "results.json"}
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["headline"] == HEADLINE["classify"]
    assert found["models"][1]["metrics"]["perplexity"] is None
    assert found["models"][1]["metrics"]["accuracy"] == pytest.approx(29 / 30)
    assert found["models"][1]["metrics"]["confusion"]["matrix"][1] == [0, 9, 1]


def test_the_table_lines_up() -> None:
    head, *rows = table(result(set(), {1})).splitlines()
    assert len({len(line) for line in (head, *rows[:2])}) == 1
    assert head.split()[:3] == ["model", "size", "accuracy"]


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        ("accuracy", 0.8333, "83.3%"),
        ("kl", 0.00294, "0.0029"),
        ("perplexity", 12.3456, "12.346"),
        ("perplexity", 1234.5, "1234.5"),
        ("perplexity", float("inf"), "infinite"),
        ("first_token_seconds", 0.1234, "123 ms"),
        ("first_token_seconds", 3.21, "3.2 s"),
        ("decode_tokens_per_second", 61.7, "62 tokens/s"),
        ("decode_tokens_per_second", None, "–"),
        ("chrf", 45.67, "45.7"),
    ],
)
def test_numbers_for_people(metric: str, value: float | None, text: str) -> None:
    assert number(metric, value) == text


def test_short_names_tell_apart() -> None:
    made = result(set(), set())
    assert list(short_names(made).values()) == ["Q0", "Q1"]
    assert list(short_names(result(set())).values()) == ["Model-1B.Q0"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 145, [0, 25, 50, 75, 100, 125]),
        (9.8, 10, [9.8, 9.85, 9.9, 9.95, 10]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_a_plot_of_equal_and_of_infinite_values() -> None:
    points = [Point("a", 5, 0.5), Point("b", 5, 0.5), Point("c", 5, float("inf"))]
    svg = str(scatter(points, ("x", "y"), False, "plot"))
    assert svg.count("<circle") == 2
    assert "nan" not in svg
    assert scatter([Point("c", 5, float("nan"))], ("x", "y"), False, "plot") == ""
