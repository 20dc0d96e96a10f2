"""Figures from records. Computes nothing that scikit-learn or sacrebleu compute,
and knows neither models nor files: the same records give the same figures.

Names are the field's: precision, recall and f1 are macro averages (each class
counts the same), the `_weighted` ones count each class by its items. `accuracy`
of "choice" takes the choice with the highest log-likelihood, `accuracy_norm` the
one with the highest log-likelihood per UTF-8 byte. That of "tools" is the share of
items whose calls are all right, `relevance` of those that called something where it was
due and nothing where it was not, `parse_failures` of those that began a call which could
not be read. `ece` is the expected
calibration error over ten bins of equal width.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import SlmError
from .data import Item, Task
from .divergence import Divergences, perplexity
from .thresholds import resampled_average_precision, thresholds

F64 = npt.NDArray[np.float64]
Record = dict[str, Any]

# What a task is judged by first, and which way is better.
HEADLINE: dict[Task, str] = {
    "chat": "exact_match",
    "classify": "accuracy",
    "generate": "chrf",
    "perplexity": "perplexity",
    "choice": "accuracy",
    "tools": "accuracy",
    "guard": "average_precision",
}
LOWER_IS_BETTER = frozenset(
    (
        *("perplexity", "bits_per_byte", "ece", "first_token_seconds", "parse_failures"),
        *("kl", "kl_median", "kl_p95", "kl_p99", "kl_max", "flips"),
    )
)
# Figures from 0 to 1, and those from 0 to 100 as their makers have it.
SHARES = frozenset(
    (
        *("accuracy", "accuracy_norm", "precision", "recall", "f1"),
        *("precision_weighted", "recall_weighted", "f1_weighted"),
        *("exact_match", "contains", "flips", "ece", "relevance", "parse_failures"),
        *("average_precision", "best_f1"),
    )
)
OF_A_HUNDRED = frozenset(("bleu", "chrf"))
_SPEED = (
    "first_token_seconds", "prefill_tokens_per_second", "decode_tokens_per_second",
)  # fmt: skip
_DIVERGENCE = ("kl", "kl_median", "kl_p95", "kl_p99", "kl_max", "flips")
METRICS: dict[Task, tuple[str, ...]] = {
    "chat": ("exact_match", "contains", "bleu", "chrf", "perplexity"),
    "generate": ("bleu", "chrf", "exact_match", "contains", "perplexity"),
    "classify": (
        "accuracy", "precision", "recall", "f1",
        "precision_weighted", "recall_weighted", "f1_weighted", "ece", "perplexity",
    ),
    "choice": ("accuracy", "accuracy_norm", "ece", "perplexity"),
    "perplexity": ("perplexity", "bits_per_byte"),
    "tools": ("accuracy", "relevance", "parse_failures"),
    "guard": ("average_precision", "precision", "recall", "f1", "best_f1", "accuracy", "ece"),
}  # fmt: skip


def require(task: Task) -> None:
    """Raises SlmError "missing_extra" now rather than when the work is done."""
    if task in ("classify", "guard"):
        _extra("sklearn.metrics")
    elif task in ("chat", "generate"):
        _extra("sacrebleu")


def names(task: Task, reference: bool) -> tuple[str, ...]:
    """What a task can be gated by."""
    return METRICS[task] + (_DIVERGENCE if reference else ()) + _SPEED


def summarize(task: Task, items: Sequence[Item], records: Sequence[Record]) -> dict[str, Any]:
    """Every metric of the task by its name, None where it does not apply, and the
    parts that plots are made of: "per_class", "confusion", "reliability".

    Raises SlmError "missing_extra" without scikit-learn or sacrebleu.
    """
    tokens = sum(record["tokens"] for record in records)
    nll = sum(record["nll"] for record in records)
    result: dict[str, Any] = {
        "items": len(items),
        "perplexity": perplexity([-nll / tokens]) if tokens else None,
    }
    if task == "perplexity":
        n_bytes = sum(record["bytes"] for record in records)
        result["bits_per_byte"] = nll / math.log(2) / n_bytes if n_bytes else None
    elif task == "guard":
        result |= _guarded(items, records)
    elif task in ("classify", "choice"):
        result |= _decided(task, items, records)
    elif task == "tools":
        result |= _called(items, records)
    else:
        result |= _generated(items, records)
    return {**result, **_diverged(records), **_speed(records)}


def _decided(task: Task, items: Sequence[Item], records: Sequence[Record]) -> dict[str, Any]:
    right = [
        record["prediction"] == item.answer for item, record in zip(items, records, strict=True)
    ]
    chances = [probabilities(record) for record in records]
    # The likeliest label is what calibration is about, also where text decides.
    top = [int(np.argmax(chance)) for chance in chances]
    sure = [float(chance[i]) for chance, i in zip(chances, top, strict=True)]
    hits = [i == item.answer for i, item in zip(top, items, strict=True)]
    result: dict[str, Any] = {"accuracy": float(np.mean(right)), **calibration(sure, hits)}
    if task == "choice":
        best = [int(np.argmax(np.divide(r["logprobs"], r["n_bytes"]))) for r in records]
        result["accuracy_norm"] = float(
            np.mean([i == item.answer for i, item in zip(best, items, strict=True)])
        )
        return result
    labels = items[0].choices
    predicted = [
        labels[r["prediction"]] if r["prediction"] is not None else NO_LABEL for r in records
    ]
    return result | classification([item.expected[0] for item in items], predicted, labels)


def _called(items: Sequence[Item], records: Sequence[Record]) -> dict[str, Any]:
    pairs = list(zip(items, records, strict=True))
    due = [(item.calls is None or len(item.calls) > 0) == bool(r["calls"]) for item, r in pairs]
    categories: dict[str, list[bool]] = {}
    for item, record in pairs:
        categories.setdefault(item.category or "all", []).append(record["right"])
    return {
        "accuracy": float(np.mean([record["right"] for record in records])),
        "relevance": float(np.mean(due)),
        "parse_failures": float(np.mean([record["unread"] for record in records])),
        "per_category": {
            name: {"accuracy": float(np.mean(right)), "items": len(right)}
            for name, right in categories.items()
        },
    }


def _guarded(items: Sequence[Item], records: Sequence[Record]) -> dict[str, Any]:
    truth = [item.answer or 0 for item in items]
    predicted = [record["prediction"] for record in records]
    chances = list(map(violation, records))
    labels = items[0].choices
    found = classification([labels[i] for i in truth], [labels[i] for i in predicted], labels)
    # How sure it is of what it would say, whatever the threshold makes of that.
    top = [int(chance >= 0.5) for chance in chances]
    sure = [max(chance, 1 - chance) for chance in chances]
    hits = [said == is_so for said, is_so in zip(top, truth, strict=True)]
    return {
        "accuracy": float(np.mean(np.equal(truth, predicted))),
        **calibration(sure, hits),
        **{name: found[name] for name in ("per_class", "confusion")},
        **thresholds(_extra("sklearn.metrics"), truth, chances, predicted),
    }


def violation(record: Record) -> float:
    """The greatest probability of breaking any of the rules."""
    return float(max(record["probabilities"]))


NO_LABEL = "(none)"


def classification(
    expected: Sequence[str], predicted: Sequence[str], labels: Sequence[str]
) -> dict[str, Any]:
    """Precision, recall and F1, per class and averaged, and the confusion matrix.

    Its rows are what was expected, its columns what was predicted; a last column
    is there when some answers gave no label.
    """
    sk: Any = _extra("sklearn.metrics")
    result: dict[str, Any] = {}
    for average, suffix in (("macro", ""), ("weighted", "_weighted")):
        found = sk.precision_recall_fscore_support(
            expected, predicted, labels=list(labels), average=average, zero_division=0
        )
        for name, value in zip(("precision", "recall", "f1"), found, strict=False):
            result[name + suffix] = float(value)
    each = sk.precision_recall_fscore_support(
        expected, predicted, labels=list(labels), average=None, zero_division=0
    )
    result["per_class"] = {
        label: {
            "precision": float(each[0][i]),
            "recall": float(each[1][i]),
            "f1": float(each[2][i]),
            "support": int(each[3][i]),
        }
        for i, label in enumerate(labels)
    }
    shown = [*labels, NO_LABEL] if NO_LABEL in predicted else list(labels)
    matrix = sk.confusion_matrix(expected, predicted, labels=shown)
    result["confusion"] = {
        "labels": list(labels), "predicted": shown, "matrix": matrix[: len(labels)].tolist(),
    }  # fmt: skip
    return result


def probabilities(record: Record) -> F64:
    """Of the labels or choices, given that it is one of them."""
    logprobs = np.asarray(record["logprobs"], np.float64)
    shares = np.exp(logprobs - logprobs.max())
    normalized: F64 = shares / shares.sum()
    return normalized


def calibration(sure: Sequence[float], right: Sequence[bool], bins: int = 10) -> dict[str, Any]:
    """Expected calibration error: the mean over items of |accuracy - confidence| of
    the item's bin (Guo et al. 2017, "On Calibration of Modern Neural Networks").

    Bin i holds (i / bins, (i + 1) / bins], the first also 0.
    """
    confidence = np.asarray(sure, np.float64)
    hit = np.asarray(right, np.float64)
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    reliability, error = [], 0.0
    for i in range(bins):
        here = place == i
        n = int(here.sum())
        if n:
            mean_confidence, accuracy = float(confidence[here].mean()), float(hit[here].mean())
            reliability.append({"confidence": mean_confidence, "accuracy": accuracy, "items": n})
            error += n / len(confidence) * abs(accuracy - mean_confidence)
    return {"ece": error, "reliability": reliability}


def _generated(items: Sequence[Item], records: Sequence[Record]) -> dict[str, Any]:
    texts = [record["text"].strip() for record in records]
    references = [item.expected for item in items]
    # sacrebleu takes the references by their place: the first of every item, the second…
    most = max(map(len, references))
    streams = [[r[i] if i < len(r) else None for r in references] for i in range(most)]
    bleu: Any = _extra("sacrebleu")
    return {
        "exact_match": float(np.mean(list(map(is_exact, texts, references)))),
        "contains": float(np.mean(list(map(is_contained, texts, references)))),
        "bleu": float(bleu.corpus_bleu(texts, streams).score),
        "chrf": float(bleu.corpus_chrf(texts, streams).score),
    }


def normalized(text: str) -> str:
    """Case, spacing and a final period make no other answer."""
    return re.sub(r"\s+", " ", text).strip().rstrip(".").casefold()


def is_exact(text: str, accepted: Sequence[str]) -> bool:
    return normalized(text) in map(normalized, accepted)


def is_contained(text: str, accepted: Sequence[str]) -> bool:
    """Whether an accepted answer occurs in the text, as whole words."""
    wanted = "|".join(re.escape(normalized(answer)) for answer in accepted)
    return re.search(rf"(?<!\w)(?:{wanted})(?!\w)", normalized(text)) is not None


def _diverged(records: Sequence[Record]) -> dict[str, Any]:
    gathered = Divergences()
    for record in records:
        gathered.kl += record.get("kl", ())
        flips = record.get("flips", 0)
        gathered.flips += [True] * flips + [False] * (len(record.get("kl", ())) - flips)
    if not gathered.kl:
        return {}
    result = asdict(gathered.result())
    return {name: result[name] for name in (*_DIVERGENCE, "positions")}


def _speed(records: Sequence[Record]) -> dict[str, float | None]:
    timings = [record["timing"] for record in records]
    first = [t["first_token_seconds"] for t in timings if t["first_token_seconds"] is not None]

    def rate(kind: str) -> float | None:
        tokens = sum(t[f"{kind}_tokens"] for t in timings)
        seconds = sum(t[f"{kind}_seconds"] for t in timings)
        return float(tokens / seconds) if tokens and seconds else None

    return {
        "first_token_seconds": statistics.median(first) if first else None,
        "prefill_tokens_per_second": rate("prefill"),
        "decode_tokens_per_second": rate("decode"),
    }


def _extra(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError:
        package = {"sklearn": "scikit-learn"}.get(module.partition(".")[0], module)
        raise SlmError(
            "missing_extra", f'{package} is not installed; run `pip install "slmweb[eval]"`'
        ) from None


# ---- intervals ----

Ratio = Callable[[Item, Record], tuple[float, float]]

# A headline that is a share of the items has intervals in closed form, which also hold for few
# items and where all of them are right: resampling two right ones would give 100% to 100%.
_PROPORTIONS: dict[str, Callable[[Item, Record], bool]] = {
    "accuracy": lambda i, r: bool(r["right"] if "right" in r else r["prediction"] == i.answer),
    "exact_match": lambda i, r: is_exact(r["text"].strip(), i.expected),
}
# One that is a ratio of sums over the items can be resampled cheaply.
_RATIOS: dict[str, tuple[Ratio, Callable[[F64], F64]]] = {
    "perplexity": (lambda i, r: (r["nll"], float(r["tokens"])), np.exp),
}
_SAMPLES = 2000
_Z = statistics.NormalDist().inv_cdf(0.975)


def interval(
    metric: str, items: Sequence[Item], records: Sequence[Record], seed: int
) -> tuple[float, float] | None:
    """The 95% interval over the items: Wilson's of a proportion, a bootstrap interval of another
    ratio of sums and of average precision, None for the rest."""
    if (right := _PROPORTIONS.get(metric)) is not None:
        return wilson(sum(map(right, items, records)), len(items))
    values = _resampled(metric, items, records, seed)
    return None if values is None else _middle(values)


def difference_interval(
    metric: str,
    items: Sequence[Item],
    records: Sequence[Record],
    baseline: Sequence[Record],
    seed: int,
) -> tuple[float, float] | None:
    """Of the metric less the baseline's, item by item, which is far narrower than what two
    separate intervals suggest."""
    if (right := _PROPORTIONS.get(metric)) is not None:
        return paired(list(map(right, items, records)), list(map(right, items, baseline)))
    ours = _resampled(metric, items, records, seed)
    theirs = _resampled(metric, items, baseline, seed)
    return None if ours is None or theirs is None else _middle(ours - theirs)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The 95% score interval of hits / n (Wilson 1927)."""
    middle = (hits + _Z**2 / 2) / (n + _Z**2)
    half = _Z / (n + _Z**2) * math.sqrt(hits * (n - hits) / n + _Z**2 / 4)
    # At the ends the interval ends there too, which rounding would miss.
    return (0.0 if hits == 0 else middle - half), (1.0 if hits == n else middle + half)


def paired(ours: Sequence[bool], theirs: Sequence[bool]) -> tuple[float, float]:
    """The 95% interval of the share of `ours` less that of `theirs`, of the same items: Wilson's
    intervals of both, put together by how far the two agree (Newcombe 1998, Statistics in Medicine
    17, 2635-2650, method 10)."""
    n = len(ours)
    both = sum(map(bool.__and__, ours, theirs))
    first, second = sum(ours), sum(theirs)
    neither = n - first - second + both
    product = both * neither - (first - both) * (second - both)
    spread = first * (n - first) * second * (n - second)
    phi = min(product, max(product - n / 2, 0)) / math.sqrt(spread) if spread else 0.0
    share, other = first / n, second / n
    low, high = wilson(first, n)
    other_low, other_high = wilson(second, n)

    def reach(x: float, y: float) -> float:
        return math.sqrt(max(0.0, x * x - 2 * phi * x * y + y * y))

    change = share - other
    return (
        max(-1.0, change - reach(share - low, other_high - other)),
        min(1.0, change + reach(high - share, other - other_low)),
    )


def _resampled(
    metric: str, items: Sequence[Item], records: Sequence[Record], seed: int
) -> F64 | None:
    if metric == "average_precision":
        return resampled_average_precision(
            _extra("sklearn.metrics"),
            [item.answer or 0 for item in items],
            list(map(violation, records)),
            seed,
            _SAMPLES,
        )
    if metric not in _RATIOS or len(items) < 2:
        return None
    part, finish = _RATIOS[metric]
    parts = np.array([part(item, record) for item, record in zip(items, records, strict=True)])
    generator = np.random.default_rng(seed)
    n = len(items)
    sums = np.stack([parts[generator.integers(0, n, n)].sum(axis=0) for _ in range(_SAMPLES)])
    with np.errstate(over="ignore"):
        return finish(sums[:, 0] / sums[:, 1])


def _middle(values: F64) -> tuple[float, float]:
    low, high = np.percentile(values, (2.5, 97.5)).tolist()
    return low, high
