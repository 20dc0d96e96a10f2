"""Perplexity of a text, by llama.cpp's definition where it has one.

The text is tokenized with BOS where the model asks for it, special tokens in it
being text. If it fits into one context of `n_ctx` tokens, every token but the
first is predicted. Otherwise it is cut into consecutive windows of exactly
`n_ctx` tokens (a shorter rest is dropped), the first token of each window is
replaced by BOS if the model uses one, and the second half of each window is
predicted, so that every prediction has at least n_ctx / 2 tokens of context.
That is `llama-perplexity -c n_ctx`. The result is exp of the mean negative
natural-log likelihood of the predicted tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import SlmError
from .adapter import Adapter
from .model import Model
from .session import Logits


@dataclass(frozen=True)
class Perplexity:
    perplexity: float
    tokens: int  # that were predicted
    n_ctx: int
    windows: int


def perplexity(
    model: Model,
    text: bytes,
    *,
    n_ctx: int | None = None,
    adapters: Sequence[tuple[Adapter, float]] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Perplexity:
    """`n_ctx` is by default the model's context, at most 2048.

    `adapters` are as in `Session.adapters`. `progress` is called with the tokens
    evaluated and in all. Raises SlmError
    "invalid_argument" when there is nothing to predict.
    """
    n_ctx = n_ctx or model.default_n_ctx
    ids = model.tokenizer.encode(text, special=False)
    if len(ids) < 2:
        raise SlmError(
            "invalid_argument",
            f"the text has {len(ids)} tokens, and it takes two to predict one; use a longer text",
        )
    if n_ctx < 4:
        raise SlmError("invalid_argument", f"n_ctx is {n_ctx}; predicting takes 4 or more")
    cut = windows(ids, n_ctx, model.info["bos"] if model.info["add_bos"] else None)
    total = sum(len(window) for window, _ in cut)
    done, negative_log_likelihood, count = 0, 0.0, 0
    with model.session(min(n_ctx, len(ids))) as session:
        session.adapters(adapters)
        for window, first in cut:
            session.reuse(window[:1])  # forgets the window before
            for start in range(0, first, session.n_batch):
                session.eval(window[start : min(start + session.n_batch, first)], "none")
            row = first
            # The last token predicts one that the window does not hold.
            for logits in session.logits(window[first:-1]):
                targets = window[row + 1 : row + 1 + len(logits)]
                negative_log_likelihood -= float(log_likelihood(logits, targets).sum())
                row += len(logits)
                if progress:
                    progress(done + row, total)
            count += row - first
            done += len(window)
    mean = negative_log_likelihood / count
    return Perplexity(math.exp(mean) if mean < 700 else math.inf, count, n_ctx, len(cut))


def windows(ids: list[int], n_ctx: int, bos: int | None) -> list[tuple[list[int], int]]:
    """(token ids, first row of logits that counts) of every window of `n_ctx` tokens."""
    if len(ids) <= n_ctx:
        return [(ids, 0)]
    cut = []
    for start in range(0, len(ids) - n_ctx + 1, n_ctx):
        window = ids[start : start + n_ctx]
        if bos is not None:
            window[0] = bos
        cut.append((window, n_ctx // 2))
    return cut


def log_likelihood(logits: Logits, targets: Sequence[int]) -> npt.NDArray[np.float64]:
    """Natural-log probability of targets[i] under logits[i]: [n, n_vocab] -> [n]."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    sums = np.exp(shifted).sum(axis=1, dtype=np.float64)
    chosen: npt.NDArray[np.float64] = shifted[np.arange(len(targets)), targets].astype(np.float64)
    result: npt.NDArray[np.float64] = chosen - np.log(sums)
    return result
