"""What a guard's probabilities are worth: precision and recall at every threshold.

Computes nothing that scikit-learn computes. The positive class is what violates a rule; the
figures are ShieldGemma's own: average precision (the area under the curve of precision over
recall) and the best F1 of any threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

# A curve of more points says no more in a plot, and fills a file.
MOST_POINTS = 200


def thresholds(
    sk: Any, truth: Sequence[int], probabilities: Sequence[float], predicted: Sequence[int]
) -> dict[str, Any]:
    """Figures of what was `predicted`, and of every threshold. `sk` is sklearn.metrics.

    `truth` has both classes.
    """
    found = sk.precision_recall_fscore_support(truth, predicted, average="binary", zero_division=0)
    result = {
        name: float(value)
        for name, value in zip(("precision", "recall", "f1"), found, strict=False)
    }
    precision, recall, at = sk.precision_recall_curve(truth, probabilities)
    # The last point has no threshold: nothing is found.
    precision, recall = precision[:-1], recall[:-1]
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(np.argmax(f1))
    shown = np.unique(np.append(np.linspace(0, len(at) - 1, MOST_POINTS).round().astype(int), best))
    return {
        **result,
        "average_precision": float(sk.average_precision_score(truth, probabilities)),
        "best_f1": float(f1[best]),
        "best_threshold": float(at[best]),
        "curve": [
            {
                "threshold": float(at[i]),
                "precision": float(precision[i]),
                "recall": float(recall[i]),
                "f1": float(f1[i]),
            }
            for i in shown
        ],
    }


def resampled_average_precision(
    sk: Any, truth: Sequence[int], probabilities: Sequence[float], seed: int, samples: int
) -> F64 | None:
    """Of resampled items, as many of both classes as there are: others could have none of one.

    Two models' are of the same items. None where a class has fewer than two.
    """
    classes = [np.flatnonzero(np.equal(truth, label)) for label in (0, 1)]
    if min(map(len, classes)) < 2:
        return None
    generator = np.random.default_rng(seed)
    truths, chances = np.asarray(truth), np.asarray(probabilities)
    values = np.empty(samples)
    for i in range(samples):
        drawn = np.concatenate([generator.choice(one, len(one)) for one in classes])
        values[i] = sk.average_precision_score(truths[drawn], chances[drawn])
    return values
