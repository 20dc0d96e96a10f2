"""Figures against scikit-learn and sacrebleu called directly, and against a pencil."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import sacrebleu
import sklearn.metrics as sk
from scipy.stats import binomtest, multinomial

from slmweb.evaluate import metrics
from slmweb.evaluate.data import Item
from slmweb.evaluate.tasks import find_label

LABELS = ("a", "b", "c")
TIMING = {
    "prefill_tokens": 10, "prefill_seconds": 2.0, "decode_tokens": 0, "decode_seconds": 0.0,
    "first_token_seconds": 0.5,
}  # fmt: skip


def record(**fields: Any) -> dict[str, Any]:
    return {"nll": 2.0, "tokens": 4, "bytes": 8, "timing": TIMING, **fields}


def labelled(answer: int) -> Item:
    return Item(1, "", text="x", expected=(LABELS[answer],), choices=LABELS, answer=answer)


def decided(prediction: int | None, *logprobs: float) -> dict[str, Any]:
    return record(prediction=prediction, logprobs=list(logprobs), n_bytes=[1, 2, 4])


def test_classification_is_scikit_learns() -> None:
    draw = np.random.default_rng(1)
    expected = [LABELS[i] for i in draw.integers(0, 3, 60)]
    predicted = [LABELS[i] for i in draw.integers(0, 3, 60)]
    found = metrics.classification(expected, predicted, LABELS)
    assert found["precision"] == sk.precision_score(expected, predicted, average="macro")
    assert found["recall"] == sk.recall_score(expected, predicted, average="macro")
    assert found["f1"] == sk.f1_score(expected, predicted, average="macro")
    assert found["f1_weighted"] == sk.f1_score(expected, predicted, average="weighted")
    assert found["confusion"]["matrix"] == sk.confusion_matrix(expected, predicted).tolist()
    each = sk.f1_score(expected, predicted, average=None)
    assert [found["per_class"][label]["f1"] for label in LABELS] == each.tolist()
    assert sum(found["per_class"][label]["support"] for label in LABELS) == 60


def test_classification_for_a_pencil() -> None:
    """a: 2 of 3 found, 2 of 3 right; b: 1 of 2 found, 1 of 2 right; c never occurs."""
    found = metrics.classification(list("aaabb"), list("aabba"), LABELS)
    assert found["precision"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert found["f1_weighted"] == pytest.approx((3 * 2 / 3 + 2 * 1 / 2) / 5)
    assert found["confusion"]["matrix"] == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_answers_without_a_label_have_a_column_of_their_own() -> None:
    items = [labelled(0), labelled(1)]
    records = [decided(None, 0, -1, -2), decided(1, -1, 0, -2)]
    found = metrics.summarize("classify", items, records)
    assert found["accuracy"] == 0.5
    assert found["confusion"]["predicted"] == ["a", "b", "c", "(none)"]
    assert found["confusion"]["matrix"] == [[0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]]


def test_choice_by_likelihood_and_per_byte() -> None:
    """-3 is the likeliest of all; -4 over 4 bytes is the likeliest per byte."""
    found = metrics.summarize("choice", [labelled(2)], [decided(0, -3, -7, -4)])
    assert (found["accuracy"], found["accuracy_norm"]) == (0, 1)


def test_probabilities_are_of_the_labels_alone() -> None:
    shares = metrics.probabilities(decided(0, -1000, -1000 + math.log(3), -math.inf))
    assert shares.tolist() == pytest.approx([0.25, 0.75, 0])


def test_calibration_for_a_pencil() -> None:
    """Bins (0.5, 0.6], (0.9, 1]: |1/2 - 0.55| for two items, |2/2 - 0.95| for two."""
    found = metrics.calibration([0.52, 0.58, 0.92, 0.98], [True, False, True, True])
    assert found["ece"] == pytest.approx(0.05)
    assert [(b["items"], b["accuracy"]) for b in found["reliability"]] == [(2, 0.5), (2, 1.0)]
    assert found["reliability"][0]["confidence"] == pytest.approx(0.55)


def test_calibration_at_the_edges() -> None:
    assert metrics.calibration([1.0, 1.0], [True, True])["ece"] == 0
    assert metrics.calibration([1.0], [False])["ece"] == 1
    found = metrics.calibration([0.0, 0.1, 0.10001], [False, False, False])
    assert [b["items"] for b in found["reliability"]] == [2, 1]


def test_generation_is_sacrebleus() -> None:
    texts = ["The cat sat on the mat today.", "It rains in the north.", "No."]
    references = [
        ("A cat sat on the mat.", "The cat was on the mat today."),
        ("It rains.",),
        ("no",),
    ]
    items = [Item(1, "", text="x", expected=r) for r in references]
    found = metrics.summarize("generate", items, [record(text=f" {t}\n") for t in texts])
    streams: Any = [[r[0] for r in references], [references[0][1], None, None]]
    assert found["bleu"] == sacrebleu.BLEU().corpus_score(texts, streams).score
    assert found["chrf"] == sacrebleu.CHRF().corpus_score(texts, streams).score
    assert found["exact_match"] == pytest.approx(1 / 3)
    assert found["contains"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("text", "exact", "contained"),
    [
        ("Paris", True, True),
        (" paris.\n", True, True),
        ("It is Paris, of course.", False, True),
        ("London", False, False),
        ("Parish", False, False),
    ],
)
def test_matches(text: str, exact: bool, contained: bool) -> None:
    assert metrics.is_exact(text, ("Paris", "Lutetia")) is exact
    assert metrics.is_contained(text, ("Paris", "Lutetia")) is contained


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("billing", 0),
        ("Billing.", 0),
        ("The topic is no change.", 2),
        ("no", 1),
        ("either no change or billing", 2),
        ("nothing", None),
        ("", None),
    ],
)
def test_labels_in_an_answer(text: str, label: int | None) -> None:
    assert find_label(text, ("billing", "no", "no change")) == label


def test_perplexity_counts_tokens_not_items() -> None:
    items = [Item(1, "", text="x")] * 2
    records = [record(nll=2.0, tokens=1, bytes=3), record(nll=1.0, tokens=5, bytes=7)]
    found = metrics.summarize("perplexity", items, records)
    assert found["perplexity"] == pytest.approx(math.exp(0.5))
    assert found["bits_per_byte"] == pytest.approx(3 / math.log(2) / 10)


def test_divergence_is_over_all_positions() -> None:
    items = [Item(1, "", text="x")] * 2
    records = [record(kl=[0.1, 0.3], flips=1), record(kl=[0.2], flips=0)]
    found = metrics.summarize("perplexity", items, records)
    assert found["kl"] == pytest.approx(0.2)
    assert found["flips"] == pytest.approx(1 / 3)
    assert (found["kl_max"], found["positions"]) == (0.3, 3)


def test_speed() -> None:
    found = metrics.summarize("perplexity", [Item(1, "", text="x")] * 3, [record()] * 3)
    assert found["prefill_tokens_per_second"] == 5
    assert found["decode_tokens_per_second"] is None
    assert found["first_token_seconds"] == 0.5


def test_intervals_hold_the_figure_and_follow_the_seed() -> None:
    items = [labelled(i % 3) for i in range(40)]
    good = [decided(i % 3 if i % 4 else 1 + i % 2, 0, -1, -2) for i in range(40)]
    bad = [decided(i % 3 if i % 2 else 0, 0, -1, -2) for i in range(40)]
    accuracy = metrics.summarize("classify", items, good)["accuracy"]
    low, high = metrics.interval("accuracy", items, good, seed=1) or (1, 0)
    assert low < accuracy < high
    assert metrics.interval("perplexity", items, good, 1) == metrics.interval(
        "perplexity", items, good, 1
    )
    change = metrics.difference_interval("accuracy", items, bad, good, seed=1)
    assert change is not None
    assert (
        change[0] <= metrics.summarize("classify", items, bad)["accuracy"] - accuracy <= change[1]
    )
    assert metrics.interval("chrf", items, good, seed=1) is None
    assert metrics.interval("perplexity", items[:1], good[:1], seed=1) is None


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (2, 2), (0, 7), (9, 12), (30, 30), (517, 1000)])
def test_intervals_of_shares_are_scipys_wilson(hits: int, n: int) -> None:
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert metrics.wilson(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_few_right_items_are_no_certainty() -> None:
    items = [labelled(0), labelled(1)]
    right, wrong = [decided(0), decided(1)], [decided(1), decided(0)]
    low, high = metrics.interval("accuracy", items, right, seed=0) or (1, 0)
    assert low == pytest.approx(0.342, abs=1e-3)
    assert high == 1
    change = metrics.difference_interval("accuracy", items, right, wrong, seed=0)
    assert change is not None
    assert change[0] < 0.6


@pytest.mark.parametrize(
    "shares",
    [(0.7, 0.1, 0.05, 0.15), (0.5, 0.2, 0.2, 0.1), (0.9, 0.05, 0.02, 0.03), (0.3, 0.4, 0.1, 0.2)],
)
@pytest.mark.parametrize("n", [8, 20])
def test_the_interval_of_a_change_covers_it(shares: tuple[float, ...], n: int) -> None:
    """Every outcome of n pairs with its chance: both right, only ours, only theirs, neither."""
    true, covered = shares[1] - shares[2], 0.0
    for both in range(n + 1):
        for ours in range(n + 1 - both):
            for theirs in range(n + 1 - both - ours):
                neither = n - both - ours - theirs
                counts = (both, ours, theirs, neither)
                low, high = metrics.paired(
                    [True] * both + [True] * ours + [False] * (theirs + neither),
                    [True] * both + [False] * ours + [True] * theirs + [False] * neither,
                )
                assert -1 <= low <= (ours - theirs) / n <= high <= 1
                if low <= true <= high:
                    covered += float(multinomial.pmf(counts, n, shares))
    assert covered > 0.93
