"""What a report says, before it has a form: columns, numbers as text, verdicts,
and the items on which two models disagree. All forms of a report take them from
here, so that they cannot differ.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..metrics import LOWER_IS_BETTER, SHARES, is_exact
from ..run import Evaluated, Result

TITLES = {
    "accuracy": "accuracy",
    "accuracy_norm": "accuracy (per byte)",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "f1_weighted": "F1 (weighted)",
    "average_precision": "average precision",
    "best_f1": "best F1",
    "best_threshold": "at threshold",
    "ece": "calibration error",
    "exact_match": "exact match",
    "contains": "contains it",
    "bleu": "BLEU",
    "chrf": "chrF",
    "perplexity": "perplexity",
    "bits_per_byte": "bits per byte",
    "kl": "KL",
    "flips": "flips",
    "relevance": "calls where due",
    "parse_failures": "unreadable calls",
    "first_token_seconds": "first token",
    "prefill_tokens_per_second": "prefill",
    "decode_tokens_per_second": "decode",
}
_COLUMNS: dict[str, tuple[str, ...]] = {
    "chat": ("exact_match", "contains", "chrf", "bleu"),
    "generate": ("chrf", "bleu", "exact_match", "contains"),
    "classify": ("accuracy", "precision", "recall", "f1", "ece"),
    "choice": ("accuracy", "accuracy_norm", "ece"),
    "perplexity": ("perplexity", "bits_per_byte"),
    "tools": ("accuracy", "relevance", "parse_failures"),
    "guard": (
        *("average_precision", "precision", "recall", "f1"),
        *("best_f1", "best_threshold", "accuracy", "ece"),
    ),
}
_DISTANCE = ("kl", "flips")
_SPEED = ("first_token_seconds", "prefill_tokens_per_second", "decode_tokens_per_second")


def columns(result: Result) -> list[str]:
    """The metrics that the table shows: those of the task that some model has."""
    wanted = (*_COLUMNS[result.task], *_DISTANCE, *_SPEED)
    return [m for m in wanted if any(e.metrics.get(m) is not None for e in result.models)]


def short_names(result: Result) -> dict[str, str]:
    """What tells the models apart: their names without the words that all begin with."""
    names = [found.model.name for found in result.models]
    words = [re.split(r"(?<=[-._ ])", name) for name in names]
    same = 0
    if len(names) > 1:
        while len({tuple(w[: same + 1]) for w in words}) == 1 and all(
            len(w) > same + 1 for w in words
        ):
            same += 1
    return {name: "".join(w[same:]) for name, w in zip(names, words, strict=True)}


def number(metric: str, value: float | None, sign: bool = False) -> str:
    """A figure for people. Shares are percentages; with `sign`, a difference of two."""
    text = "–" if value is None else _number(metric, value, sign)
    return text.replace("-", "−")


def _number(metric: str, value: float, sign: bool) -> str:
    if not math.isfinite(value):
        return "infinite" if value > 0 else "not a number"
    plus = "+" if sign else ""
    if metric in SHARES:
        return f"{100 * value:{plus}.1f}{' points' if sign else '%'}"
    if metric.startswith("kl"):
        return f"{value:{plus}.4f}"
    if metric == "first_token_seconds":
        return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.1f} s"
    if metric.endswith("_per_second"):
        return f"{value:.0f} tokens/s" if value >= 10 else f"{value:.1f} tokens/s"
    if metric in ("bleu", "chrf"):
        return f"{value:{plus}.1f}"
    return f"{value:{plus}.3f}" if abs(value) < 100 else f"{value:{plus}.1f}"


def span(metric: str, interval: tuple[float, float] | None, sign: bool = False) -> str:
    """An interval for people, "" for none."""
    if interval is None:
        return ""
    low, high = (number(metric, value, sign).removesuffix(" points") for value in interval)
    return f"{low} to {high}"


def size_text(n: int) -> str:
    return f"{n / 1e9:.2f} GB" if n >= 1e9 else f"{n / 1e6:.1f} MB"


@dataclass(frozen=True)
class Verdict:
    """The answer for one model: `headline` in a few words, `details` in sentences."""

    model: str
    headline: str
    details: str
    tone: str  # "same", "worse", "better" or "unknown"


def verdicts(result: Result) -> list[Verdict]:
    """What each model is, beside the baseline; of a single model, how good it is."""
    others = result.models[1:]
    return [_against(result, found) for found in others] or [_alone(result)]


def _alone(result: Result) -> Verdict:
    found, metric = result.baseline, result.headline
    interval = span(metric, found.interval)
    details = f"On {count(len(result.items), 'item')}" + (
        f"; 95% interval {interval}." if interval else "."
    )
    value = number(metric, found.metrics[metric])
    return Verdict(found.model.name, f"{TITLES[metric]} {value}", details, "unknown")


def _against(result: Result, found: Evaluated) -> Verdict:
    base, metric = result.baseline, result.headline
    before, after = base.metrics[metric], found.metrics[metric]
    assert found.difference is not None
    change = number(metric, found.difference, sign=True)
    headline = (
        f"{TITLES[metric]} {number(metric, after)} "
        f"(was {number(metric, before)}{'' if found.difference == 0 else f': {change}'})"
    )
    ratio = found.model.size / base.model.size
    sentences = [
        f"{size_text(found.model.size)}, {100 * ratio:.0f}% of the size of {base.model.name}."
    ]
    tone, meaning = _meaning(result, found)
    if meaning:
        sentences.append(meaning)
    if found.metrics.get("kl") is not None:
        sentences.append(
            f"KL {number('kl', found.metrics['kl'])} nats, another likeliest token at "
            f"{number('flips', found.metrics['flips'])} of "
            f"{count(found.metrics['positions'], 'position')}."
        )
    return Verdict(found.model.name, headline, " ".join(sentences), tone)


def _meaning(result: Result, found: Evaluated) -> tuple[str, str]:
    """The tone of a change and a sentence on what the items can tell of it."""
    interval, items = found.difference_interval, count(len(result.items), "item")
    if interval is None:
        return ("same" if found.difference == 0 else "unknown"), ""
    if not any(interval) or _same_answers(result, found):
        return "same", f"Nothing changed on {items}."
    shown = f"95% interval of the change {span(result.headline, interval, sign=True)}"
    if interval[0] <= 0 <= interval[1]:
        return "unknown", f"{shown}, so {items} cannot tell it from chance."
    worse = (interval[1] < 0) != (result.headline in LOWER_IS_BETTER)
    return ("worse", f"{shown}: a loss.") if worse else ("better", f"{shown}: a gain.")


def _same_answers(result: Result, found: Evaluated) -> bool:
    """Whether every item is as right or wrong as with the baseline."""
    return result.task != "perplexity" and changes(result, found, most=0)[1:] == (0, 0)


def count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


@dataclass(frozen=True)
class Change:
    """An item that one of two models got right and the other did not."""

    line: int
    question: str
    expected: str
    before: str
    after: str
    lost: bool  # the baseline was right


def changes(result: Result, found: Evaluated, most: int = 20) -> tuple[list[Change], int, int]:
    """The items whose correctness changed, losses first; how many were lost and won."""
    if result.task == "perplexity":
        return [], 0, 0
    listed = []
    for item, old, new in zip(result.items, result.baseline.records, found.records, strict=True):
        was, now = _right(item, old), _right(item, new)
        if was != now:
            listed.append(
                Change(
                    item.line,
                    item.shown,
                    item.expected[0],
                    said(item.choices, old),
                    said(item.choices, new),
                    was,
                )
            )
    listed.sort(key=lambda change: (not change.lost, change.line))
    lost = sum(change.lost for change in listed)
    return listed[:most], lost, len(listed) - lost


@dataclass(frozen=True)
class Answers:
    """An item and what each model wrote."""

    line: int
    question: str
    expected: str
    texts: tuple[str, ...]  # in the order of the models


def answers(result: Result, most: int = 20) -> list[Answers]:
    """The first items with what was written, for the tasks whose answers are texts: a score of
    them says little to who has not read any."""
    if result.task not in ("chat", "generate", "tools"):
        return []
    every = zip(*(found.records for found in result.models), strict=True)
    return [
        Answers(
            item.line,
            item.shown,
            item.expected[0],
            tuple(_written(record) for record in records),
        )
        for item, records in zip(result.items[:most], every, strict=False)
    ]


def said(choices: Sequence[str], record: dict[str, Any]) -> str:
    """What a model answered."""
    index = record.get("prediction")
    return _written(record) if index is None else choices[index]


def _written(record: dict[str, Any]) -> str:
    """Its calls of tools, and its text."""
    made = [f"{name}({arguments[1:-1]})" for name, arguments in record.get("calls", ())]
    return "; ".join([*made, *filter(None, [str(record.get("text", "")).strip()])])


def _right(item: Any, record: dict[str, Any]) -> bool:
    if "right" in record:
        return bool(record["right"])
    if "prediction" in record:
        return bool(record["prediction"] == item.answer)
    return is_exact(str(record["text"]), item.expected)
