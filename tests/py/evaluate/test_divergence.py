"""Against scipy's softmax and entropy, and against cases small enough for a pencil."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from scipy.special import log_softmax as scipy_log_softmax
from scipy.stats import entropy

from slmweb.errors import SlmError
from slmweb.evaluate.divergence import F32, Divergences, divergence, log_softmax, perplexity


def drawn(n: int, n_vocab: int, seed: int, scale: float = 5.0) -> F32:
    return np.random.default_rng(seed).normal(0, scale, (n, n_vocab)).astype(np.float32)


@pytest.mark.parametrize(("n", "n_vocab"), [(1, 1), (1, 2), (7, 307), (12, 90_001)])
def test_the_figures_are_those_of_scipy(n: int, n_vocab: int) -> None:
    logits, reference = drawn(n, n_vocab, 1), drawn(n, n_vocab, 2)
    ids = np.random.default_rng(3).integers(0, n_vocab, n).tolist()
    found = divergence(logits, reference, ids)

    log_q = scipy_log_softmax(logits.astype(np.float64), axis=1)
    log_p = scipy_log_softmax(reference.astype(np.float64), axis=1)
    kl = entropy(np.exp(log_p), np.exp(log_q), axis=1)
    assert found.positions == n
    assert found.kl == pytest.approx(kl.mean(), rel=1e-9, abs=1e-15)
    assert found.kl_max == pytest.approx(kl.max(), rel=1e-9, abs=1e-15)
    expected = [np.sort(kl)[math.ceil(share * (n - 1))] for share in (0.5, 0.95, 0.99)]
    assert [found.kl_median, found.kl_p95, found.kl_p99] == pytest.approx(expected, abs=1e-12)
    assert found.flips == np.mean(np.argmax(log_q, axis=1) != np.argmax(log_p, axis=1))
    if n == 1:
        assert found.perplexity is None
        return
    rows = np.arange(n - 1)
    assert found.perplexity == pytest.approx(np.exp(-log_q[rows, ids[1:]].mean()))
    assert found.reference_perplexity == pytest.approx(np.exp(-log_p[rows, ids[1:]].mean()))


def test_a_case_for_a_pencil() -> None:
    reference = np.log(np.array([[0.5, 0.25, 0.25], [0.2, 0.7, 0.1]], np.float32))
    logits = np.log(np.array([[0.25, 0.5, 0.25], [0.2, 0.7, 0.1]], np.float32)) + 100
    found = divergence(logits, reference, [0, 1])
    assert found.kl == pytest.approx((0.5 * math.log(2) - 0.25 * math.log(2)) / 2, abs=1e-6)
    assert found.flips == 0.5
    assert found.perplexity == pytest.approx(2, rel=1e-5)
    assert found.reference_perplexity == pytest.approx(4, rel=1e-5)


def test_a_model_is_no_way_from_itself() -> None:
    logits = drawn(9, 1000, 4)
    found = divergence(logits, logits)
    assert (found.kl, found.kl_max, found.flips) == (0, 0, 0)


def test_blocks_add_up_to_the_whole() -> None:
    logits, reference = drawn(20, 500, 5), drawn(20, 500, 6)
    ids = list(range(20))
    gathered = Divergences()
    for start in range(0, 20, 7):
        rows = slice(start, start + 7)
        gathered.add(logits[rows], reference[rows], ids[start + 1 : start + 8])
    assert gathered.result() == divergence(logits, reference, ids)


def test_large_and_forbidden_logits_neither_overflow_nor_become_nan() -> None:
    reference = np.array([[1e4, -1e4, -np.inf]], np.float32)
    logits = np.array([[3e4, -1e4, 2e4]], np.float32)
    assert divergence(logits, reference).kl == 0
    # What the reference finds possible and the model impossible is infinitely far.
    assert divergence(reference, np.zeros((1, 3), np.float32)).kl == math.inf
    assert math.isnan(divergence(np.full((1, 3), np.nan, np.float32), reference).kl)


def test_log_softmax_is_scipys() -> None:
    logits = drawn(5, 300, 7, 40.0)
    expected = scipy_log_softmax(logits.astype(np.float64), axis=1)
    assert np.allclose(log_softmax(logits), expected, rtol=1e-13, atol=1e-13)


def test_perplexity_of_nothing_and_of_the_impossible() -> None:
    assert perplexity([]) is None
    assert perplexity([-1e6]) == math.inf
    assert perplexity([math.log(0.25), math.log(0.25)]) == pytest.approx(4)


def test_memory_stays_small() -> None:
    """192 positions of a vocabulary of 100,000 take 154 MB in float64, and it takes four copies."""
    logits = np.zeros((192, 100_000), np.float32)
    tracemalloc.start()
    divergence(logits, logits)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 120e6


@pytest.mark.parametrize(
    ("shape", "ids", "says"),
    [
        ((3, 5), None, "[4, 5] and [3, 5]"),
        ((4, 6), None, "one vocabulary"),
        ((4, 5), [1, 2], "2 token ids came with 4 rows"),
        ((4, 5), [0, 1, 2, 5], "below 5"),
    ],
)
def test_what_does_not_fit_together(
    shape: tuple[int, int], ids: list[int] | None, says: str
) -> None:
    with pytest.raises(SlmError) as raised:
        divergence(np.zeros((4, 5), np.float32), np.zeros(shape, np.float32), ids)
    assert raised.value.code == "invalid_argument"
    assert says in raised.value.message


def test_nothing_to_compare() -> None:
    with pytest.raises(SlmError, match="no positions"):
        divergence(np.zeros((0, 5), np.float32), np.zeros((0, 5), np.float32))
