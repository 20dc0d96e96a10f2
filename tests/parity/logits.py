"""Ways to get logits of a sequence from the core, and how to compare them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slmweb.core import Session

F32 = NDArray[np.float32]


def evaluate(session: Session, ids: list[int]) -> F32:
    """Logits of every one of `ids`, evaluated in batches of the session's size."""
    return np.concatenate(list(session.logits(ids)))


def worst_position(found: F32, expected: F32) -> tuple[float, int]:
    """The greatest difference of two rows over the norm of the expected one, and where."""
    assert found.shape == expected.shape
    distances = np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)
    at = int(distances.argmax())
    return float(distances[at]), at


def assert_close(found: F32, expected: F32, bound: float) -> None:
    distance, at = worst_position(found, expected)
    assert distance <= bound, (
        f"at position {at} the logits differ by {distance:.2e} of their norm, over {bound:.0e}"
    )
