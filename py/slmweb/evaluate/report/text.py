"""The report as text: the terminal's table and Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from ..run import Evaluated, Result
from .figures import (
    TITLES,
    answers,
    changes,
    columns,
    count,
    number,
    short_names,
    size_text,
    span,
    verdicts,
)


def table(result: Result) -> str:
    """The models beside each other, in columns, and the verdicts below."""
    rows = [_head(result), *(_row(result, found) for found in result.models)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    answers = [f"{v.model}: {v.headline}. {v.details}" for v in verdicts(result)]
    return "\n".join([*lines, "", *answers, *filter(None, map(_categories, result.models))])


def _categories(found: Evaluated) -> str:
    """How good it is at each, on a line; "" where there are no two."""
    each = found.metrics.get("per_category", {})
    figures = [f"{name} {number('accuracy', v['accuracy'])} of {v['items']}"
               for name, v in each.items()]  # fmt: skip
    return f"{found.model.name}: {', '.join(figures)}" if len(figures) > 1 else ""


def markdown(result: Result) -> str:
    """The whole report."""
    parts = [f"# {title(result)}", about(result)]
    parts += [f"**{_plain(v.model)}: {v.headline}.** {v.details}" for v in verdicts(result)]
    head = _head(result)
    parts.append(
        _table([head, ["---"] + ["--:"] * (len(head) - 1)])
        + "\n"
        + _table([_row(result, found) for found in result.models])
    )
    for found in result.models:
        name = _plain(found.model.name)
        if per_class := found.metrics.get("per_class"):
            rows = [
                [
                    _plain(label),
                    *(number("f1", values[name]) for name in ("precision", "recall", "f1")),
                    str(values["support"]),
                ]
                for label, values in per_class.items()
            ]
            head = ["class", "precision", "recall", "F1", "items"]
            parts.append(f"## {name}: classes")
            parts.append(_table([head, ["---"] + ["--:"] * 4, *rows]))
            confusion = found.metrics["confusion"]
            rows = [
                [f"**{_plain(label)}**", *map(str, counts)]
                for label, counts in zip(confusion["labels"], confusion["matrix"], strict=True)
            ]
            head = ["is \\ predicted", *map(_plain, confusion["predicted"])]
            parts.append(_table([head, ["---"] + ["--:"] * (len(head) - 1), *rows]))
        if per_category := found.metrics.get("per_category"):
            rows = [
                [_plain(category), number("accuracy", values["accuracy"]), str(values["items"])]
                for category, values in per_category.items()
            ]
            parts.append(f"## {name}: categories")
            parts.append(_table([["category", "accuracy", "items"], ["---", "--:", "--:"], *rows]))
        if curve := found.metrics.get("curve"):
            parts.append(f"## {name}: thresholds")
            best = found.metrics["best_threshold"]
            # Ten of them, and the best.
            step = max(1, len(curve) // 10)
            rows = [
                [
                    f"{point['threshold']:.3f}"
                    + (" (best F1)" if point["threshold"] == best else ""),
                    *(number("f1", point[n]) for n in ("precision", "recall", "f1")),
                ]
                for i, point in enumerate(curve)
                if i % step == 0 or point["threshold"] == best
            ]
            head = ["from", "precision", "recall", "F1"]
            parts.append(_table([head, ["--:"] * 4, *rows]))
        if found is not result.baseline:
            listed, lost, won = changes(result, found)
            if listed:
                parts.append(f"## {name}: {lost} lost, {won} won")
                rows = [
                    [str(c.line), *map(_short, (c.question, c.expected, c.before, c.after))]
                    for c in listed
                ]
                head = ["line", "item", "expected", "before", "now"]
                parts.append(_table([head, ["--:"] + ["---"] * 4, *rows]))
    if listed_answers := answers(result):
        parts.append(f"## {answers_title(result, len(listed_answers))}")
        rows = [
            [str(a.line), *map(_short, (a.question, a.expected, *a.texts))] for a in listed_answers
        ]
        names = short_names(result)
        head = ["line", "item", "expected", *(_plain(names[m.model.name]) for m in result.models)]
        parts.append(_table([head, ["--:"] + ["---"] * (len(head) - 1), *rows]))
    return "\n\n".join(parts) + "\n"


def answers_title(result: Result, shown: int) -> str:
    every = len(result.items)
    return "Answers" if shown == every else f"Answers: the first {shown} of {every:,}"


def title(result: Result) -> str:
    return f"Evaluation: {result.task}"


def about(result: Result) -> str:
    """What was measured, and how."""
    settings = result.settings
    runtimes = list(dict.fromkeys(found.runtime for found in result.models))
    how = {
        "classify": "the likeliest label of all counts"
        if settings.by == "likelihood"
        else f"the label that the answer names counts (up to {settings.max_tokens} tokens)",
        "choice": "the choice with the highest log-likelihood counts (per byte: divided by its "
        "length)",
        "perplexity": "every token but the first is predicted",
        "guard": f"a text counts as violating from a probability of {settings.threshold:g} on, and "
        "of several rules the most probable counts",
    }.get(result.task) or f"answers of up to {settings.max_tokens} tokens, " + (
        "greedy"
        if settings.temperature == 0
        else f"temperature {settings.temperature:g}, seed {settings.seed}"
    )
    items = f"{count(len(result.items), 'item')} of {_plain(result.data)}"
    return f"{items}; {how}; run by {'; '.join(runtimes)}."


def heading(metric: str) -> str:
    return TITLES[metric]


def _head(result: Result) -> list[str]:
    return ["model", "size", *map(heading, columns(result))]


def _row(result: Result, found: Evaluated) -> list[str]:
    cells = [model_name(found), size_text(found.model.size)]
    for metric in columns(result):
        text = number(metric, found.metrics.get(metric))
        if metric == result.headline and found.interval:
            text += f" ({span(metric, found.interval)})"
        cells.append(text)
    return cells


def model_name(found: Evaluated) -> str:
    return _plain(found.model.name) + (" (reference)" if found.is_reference else "")


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _plain(text: str) -> str:
    """Text that no Markdown is made of, on one line."""
    escaped = "".join(f"\\{c}" if c in "\\|*_`<>[]#" else c for c in " ".join(text.split()))
    # A name like Q4_1 needs no escape: an underscore inside a word is text.
    return escaped.replace("\\_", "_")


def _short(text: str, most: int = 80) -> str:
    text = " ".join(text.split())
    return _plain(text if len(text) <= most else text[: most - 1] + "…")
