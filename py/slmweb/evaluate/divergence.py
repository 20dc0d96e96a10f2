"""How far one model's next-token distributions are from another's.

Owns the figures that say what quantizing cost: the Kullback-Leibler divergence
KL(reference || model) = sum_t p(t) (ln p(t) - ln q(t)), p being the reference's
softmax and q the model's, and the share of positions whose likeliest token
differs. They look at logits only and need no right answer. Knows nothing of
models; logits may come from a file, and a block at a time (`Divergences`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import SlmError

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

# Elements of one float64 temporary: 16 MiB, of which four or five live at once.
_BLOCK = 2 << 20


@dataclass(frozen=True)
class Divergence:
    """Over `positions` next-token distributions. KL is in nats, `flips` a share from 0 to 1.

    `kl` is the mean; the percentiles say whether few positions or all of them
    moved. The perplexities are None unless the right tokens were given.
    """

    positions: int
    kl: float
    kl_median: float
    kl_p95: float
    kl_p99: float
    kl_max: float
    flips: float
    perplexity: float | None
    reference_perplexity: float | None


class Divergences:
    """Positions gathered block by block; `result` sums them up."""

    def __init__(self) -> None:
        self.kl: list[float] = []  # of each position
        self.flips: list[bool] = []
        self.logprobs: list[float] = []  # of the right tokens, by the model
        self.reference_logprobs: list[float] = []

    def add(self, logits: F32, reference: F32, targets: Sequence[int] | None = None) -> None:
        """One block of positions, [n, n_vocab] each.

        `targets[i]` is the token that really follows position i; a last position
        without one may be left out. Raises SlmError "invalid_argument" for other
        shapes or targets.
        """
        n = _check(logits, reference, targets)
        step = max(1, _BLOCK // logits.shape[1])
        for start in range(0, n, step):
            rows = slice(start, start + step)
            model_log, reference_log = log_softmax(logits[rows]), log_softmax(reference[rows])
            self.kl += _kl(reference_log, model_log).tolist()
            # Of the given numbers: softmax can round two of them to one.
            flips = logits[rows].argmax(axis=1) != reference[rows].argmax(axis=1)
            self.flips += flips.tolist()
            chosen = np.asarray(targets[rows] if targets is not None else (), np.int64)
            positions = np.arange(len(chosen))
            self.logprobs += model_log[positions, chosen].tolist()
            self.reference_logprobs += reference_log[positions, chosen].tolist()

    def result(self) -> Divergence:
        """Raises SlmError "invalid_argument" when there was no position."""
        if not self.kl:
            raise SlmError(
                "invalid_argument", "there are no positions to compare; give one or more"
            )
        median, p95, p99 = np.percentile(
            self.kl,
            (50, 95, 99),
            method="higher",  # never between two, of which one may be infinite
        ).tolist()
        return Divergence(
            positions=len(self.kl),
            kl=float(np.mean(self.kl)),
            kl_median=median,
            kl_p95=p95,
            kl_p99=p99,
            kl_max=float(np.max(self.kl)),
            flips=float(np.mean(self.flips)),
            perplexity=perplexity(self.logprobs),
            reference_perplexity=perplexity(self.reference_logprobs),
        )


def divergence(logits: F32, reference: F32, ids: Sequence[int] | None = None) -> Divergence:
    """Compares the logits of one sequence, [n, n_vocab] each, in little memory.

    `ids`, if given, are the n tokens that were evaluated, so that row i predicts
    ids[i + 1]; they are needed for the perplexities only. Raises SlmError
    "invalid_argument".
    """
    if ids is not None and len(ids) != len(logits):
        raise SlmError(
            "invalid_argument",
            f"{len(ids)} token ids came with {len(logits)} rows of logits; give one id for each",
        )
    gathered = Divergences()
    gathered.add(logits, reference, None if ids is None else ids[1:])
    return gathered.result()


def log_softmax(logits: F32) -> F64:
    """Natural-log probabilities, [n, n_vocab], in float64 and without overflow."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def perplexity(logprobs: Sequence[float]) -> float | None:
    """exp of the mean negative log-probability; None of none."""
    if not logprobs:
        return None
    mean = -float(np.mean(logprobs))
    return math.exp(mean) if mean < 700 else math.inf


def _kl(reference: F64, model: F64) -> F64:
    """[n, n_vocab] log-probabilities each -> [n]. A token that the reference rules out adds 0."""
    with np.errstate(invalid="ignore"):  # -inf less -inf, which is left out
        terms = reference - model
    share = np.exp(reference)
    terms[share == 0] = 0
    # It is never negative; rounding could make it so.
    total: F64 = np.maximum(np.einsum("nv,nv->n", share, terms), 0)
    return total


def _check(logits: F32, reference: F32, targets: Sequence[int] | None) -> int:
    if logits.ndim != 2 or logits.shape != reference.shape or logits.shape[1] == 0:
        raise SlmError(
            "invalid_argument",
            f"expected two arrays of one shape [n, n_vocab], found {list(logits.shape)} and "
            f"{list(reference.shape)}; compare models of one vocabulary at the same positions",
        )
    n, n_vocab = len(logits), logits.shape[1]
    if targets is not None and (
        not n - 1 <= len(targets) <= n or not all(0 <= target < n_vocab for target in targets)
    ):
        raise SlmError(
            "invalid_argument",
            f"expected {n} or {n - 1} target tokens below {n_vocab}, found {len(targets)} or one "
            "that is larger; give the token that follows each position",
        )
    return n
