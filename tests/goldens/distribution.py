"""A next-token distribution at every position of a text, kept small: the most
likely tokens with their log-probabilities, and the log of what all the others
have together. Owns this form and how two models are compared over it.

The Kullback-Leibler divergence over these 128 tokens and one bucket for the rest
is a lower bound of the full one (merging outcomes never raises it); make_
distributions.py prints both, and they differ by about a tenth.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
TEXT = HERE / "texts" / "prose_and_code.txt"
N_POSITIONS = 512
N_TOP = 128

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Distributions:
    ids: NDArray[np.int32]  # (n_positions,) the text's tokens
    top: NDArray[np.int32]  # (n_positions, N_TOP) most likely first
    logprobs: NDArray[np.float32]  # (n_positions, N_TOP)
    log_rest: NDArray[np.float32]  # (n_positions,)
    perplexity: float


@dataclass(frozen=True)
class Comparison:
    kl: float  # mean over the positions, in nats
    same_top: float  # share of positions
    perplexity: float
    perplexity_ratio: float

    def __str__(self) -> str:
        return (
            f"KL {self.kl:.5f}, same top token {self.same_top:.2%}, perplexity "
            f"{self.perplexity:.4f} ({self.perplexity_ratio - 1:+.2%})"
        )


def log_softmax(logits: NDArray[np.float32]) -> F64:
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def perplexity(logprobs: F64, ids: NDArray[np.int32]) -> float:
    """Of every token but the first, given those before it."""
    rows = np.arange(len(ids) - 1)
    return float(np.exp(-logprobs[rows, ids[1:]].mean()))


def summarize(logprobs: F64, ids: NDArray[np.int32]) -> Distributions:
    top = np.argpartition(-logprobs, N_TOP, axis=1)[:, :N_TOP]
    values = np.take_along_axis(logprobs, top, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    top = np.take_along_axis(top, order, axis=1)
    values = np.take_along_axis(values, order, axis=1)
    return Distributions(
        ids,
        top.astype(np.int32),
        values.astype(np.float32),
        _log_rest(values).astype(np.float32),
        perplexity(logprobs, ids),
    )


def compare(reference: Distributions, logprobs: F64) -> Comparison:
    """How far a model's (n_positions, n_vocab) log-probabilities are from the reference's."""
    found = np.take_along_axis(logprobs, reference.top, axis=1)
    kept = reference.logprobs.astype(np.float64)
    rest = reference.log_rest.astype(np.float64)
    kl = (np.exp(kept) * (kept - found)).sum(axis=1) + np.exp(rest) * (rest - _log_rest(found))
    found_perplexity = perplexity(logprobs, reference.ids)
    return Comparison(
        kl=float(kl.mean()),
        same_top=float((logprobs.argmax(axis=1) == reference.top[:, 0]).mean()),
        perplexity=found_perplexity,
        perplexity_ratio=found_perplexity / reference.perplexity,
    )


def _log_rest(logprobs: F64) -> F64:
    return np.asarray(np.log(np.maximum(1 - np.exp(logprobs).sum(axis=1), 1e-12)))


def load(name: str) -> tuple[Distributions, dict[str, float]]:
    """A golden, and llama.cpp's distance from it in other settings (mean KL)."""
    with np.load(HERE / "distributions" / f"{name}.npz") as file:
        distributions = Distributions(
            file["ids"], file["top"], file["logprobs"], file["log_rest"], float(file["perplexity"])
        )
        prefix = "noise "
        noise = {k.removeprefix(prefix): float(file[k]) for k in file if k.startswith(prefix)}
    return distributions, noise


def save(name: str, d: Distributions, **about: Any) -> None:
    path = HERE / "distributions" / f"{name}.npz"
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(
        path,
        ids=d.ids,
        top=d.top,
        logprobs=d.logprobs,
        log_rest=d.log_rest,
        perplexity=np.array(d.perplexity),
        **about,
    )
