"""Bounds on figures, for continuous integration: "accuracy=0.8" and what misses it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import SlmError
from .metrics import LOWER_IS_BETTER, OF_A_HUNDRED, SHARES
from .run import Result


@dataclass(frozen=True)
class Bound:
    """`least` is a lower bound (--fail-under), otherwise it is an upper one."""

    metric: str
    value: float
    least: bool


def parse_bounds(under: Sequence[str], over: Sequence[str], metrics: Sequence[str]) -> list[Bound]:
    """Bounds from "metric=value". Raises SlmError "invalid_argument"."""
    return [
        *(_parse(text, "--fail-under", True, metrics) for text in under),
        *(_parse(text, "--fail-over", False, metrics) for text in over),
    ]


def _parse(text: str, option: str, least: bool, metrics: Sequence[str]) -> Bound:
    name, _, number = text.partition("=")
    name = name.strip()
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SlmError(
            "invalid_argument", f"{option} {text!r} is not METRIC=NUMBER, as in accuracy=0.8"
        )
    if name not in metrics:
        reason = (
            f"{name} needs --reference"
            if name in ("flips", "kl") or name.startswith("kl_")
            else f"{name!r} is no figure of this task"
        )
        raise SlmError("invalid_argument", f"{option}: {reason}; there are {', '.join(metrics)}")
    # A bound on the wrong side, or on another scale, lets everything pass.
    if least == (name in LOWER_IS_BETTER):
        better, other = ("lower", "over") if least else ("higher", "under")
        raise SlmError(
            "invalid_argument",
            f"{name} is better when {better}; write --fail-{other} {text.strip()}",
        )
    if name in SHARES and not 0 <= value <= 1:
        hint = f"; {value:g}% is {name}={value / 100:g}" if 1 < value <= 100 else ""
        raise SlmError(
            "invalid_argument", f"{option} {text!r}: {name} is a fraction from 0 to 1{hint}"
        )
    if name in OF_A_HUNDRED and not (value == 0 or 1 <= value <= 100):
        hint = f"; write {name}={100 * value:g} for {100 * value:g}" if 0 < value < 1 else ""
        raise SlmError(
            "invalid_argument", f"{option} {text!r}: {name} goes from 0 to 100, not to 1{hint}"
        )
    return Bound(name, value, least)


def missed(result: Result, bounds: Sequence[Bound]) -> list[str]:
    """A clause for every bound that a model misses; the reference is not judged. A gate with
    nothing to judge is missed."""
    clauses = []
    judged = [found for found in result.models if not found.is_reference]
    if bounds and not judged:
        return ["there is no model beside the reference"]
    for found in judged:
        for bound in bounds:
            value = found.metrics.get(bound.metric)
            if value is None or math.isnan(value):
                clauses.append(f"{found.model.name} has no {bound.metric}")
            elif value < bound.value if bound.least else value > bound.value:
                side = "under" if bound.least else "over"
                clauses.append(
                    f"{found.model.name} has {bound.metric} {value:.6g}, {side} {bound.value:g}"
                )
    return clauses
