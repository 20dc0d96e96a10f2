"""Looking inside a model while it reads a text: what each layer would say next (the
logit lens), and which features of a sparse autoencoder it has.

Owns the walk over a text that does not fit into one evaluation, and over rows that do not
fit into one call. What a row means is the core's business; how it is shown, the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..generated.abi import Site
from .sae import Sae
from .session import Rows, Session

Guesses = list[tuple[int, float]]
"""Tokens with their natural-log probabilities, the most likely first."""

Features = list[tuple[int, float]]
"""Features with their activations, the strongest first."""


def rows_of(
    session: Session,
    ids: Sequence[int],
    places: Sequence[tuple[Site, int]],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Rows]:
    """Evaluates `ids` from an empty cache; what is found at each place, [len(ids), width].

    Raises what `Session.tap` and `Session.eval` raise. The session has no taps afterwards.
    """
    session.reuse([])
    session.tap(places)
    found: list[list[Rows]] = [[] for _ in places]
    try:
        for start in range(0, len(ids), session.n_batch):
            block = ids[start : start + session.n_batch]
            session.eval(block, "none")
            for tap, rows in enumerate(found):
                rows.append(session.tapped(tap))
            progress(start + len(block), len(ids))
    finally:
        session.tap([])
    return [np.concatenate(rows) for rows in found]


def features(session: Session, sae: Sae, rows: Rows, n: int) -> list[Features]:
    """The `n` strongest features of each row [any number, width] that are active."""
    found = []
    for start in range(0, len(rows), session.n_batch):
        block = rows[start : start + session.n_batch]
        session.encode(sae, block)
        found += [session.features(n, row) for row in range(len(block))]
    return found


def activations(session: Session, sae: Sae, rows: Rows, feature: int) -> list[float]:
    """How active one feature is in each row [any number, width]."""
    found = []
    for start in range(0, len(rows), session.n_batch):
        block = rows[start : start + session.n_batch]
        session.encode(sae, block)
        found += [session.feature(feature, row) for row in range(len(block))]
    return found


def guesses(session: Session, rows: Rows, n: int) -> list[Guesses]:
    """The `n` tokens that the lens finds most likely behind each row [any number, n_embd]."""
    found = []
    for start in range(0, len(rows), session.n_batch):
        block = rows[start : start + session.n_batch]
        session.look_through(block)
        found += [session.top(n, row) for row in range(len(block))]
    return found
