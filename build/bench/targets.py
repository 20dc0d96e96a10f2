"""The ratios that slmweb is to reach, and whether a run reached them.

Owns the numbers; they are ratios of medians of one run on one machine, because nothing else can be
compared. It prints nothing and measures nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .results import DECODE, DECODE_LONG, DECODE_SHORT, LOAD, PREFILL, TO_FIRST, Key

Medians = dict[Key, float]


@dataclass(frozen=True)
class Place:
    """Looks a median up: one model at one number of threads."""

    medians: Medians
    model: str
    threads: int

    def __call__(self, engine: str, metric: str, threads: int | None = None) -> float | None:
        return self.medians.get(Key(engine, self.model, threads or self.threads, metric))


Ratio = Callable[[Place], float | None]


def over(metric: str, other: str, other_metric: str | None = None) -> Ratio:
    def ratio(place: Place) -> float | None:
        return divide(place("slmweb", metric), place(other, other_metric or metric))

    return ratio


def two_threads_over_one(place: Place) -> float | None:
    if place.threads != 2:
        return None
    return divide(place("slmweb", PREFILL), place("slmweb", PREFILL, 1))


def divide(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a / b


@dataclass(frozen=True)
class Target:
    title: str
    limits: dict[str, float]  # by model family
    ratio: Ratio
    at_most: bool = False


def both(limit: float) -> dict[str, float]:
    return {"smollm2": limit, "gemma3": limit}


TARGETS = (
    Target("decode over wllama", {"smollm2": 8, "gemma3": 6}, over(DECODE, "wllama")),
    Target("prefill over wllama", {"smollm2": 20, "gemma3": 12}, over(PREFILL, "wllama")),
    Target("decode over native llama.cpp", both(1.0), over(DECODE, "native")),
    Target("prefill over native llama.cpp", both(0.7), over(PREFILL, "native")),
    Target(
        "first token, stored model, over wllama's load",
        both(0.25),
        over(TO_FIRST, "wllama", LOAD),
        at_most=True,
    ),
    Target(
        "decode at 2,048 tokens of context over 64",
        both(0.7),
        over(DECODE_LONG, "slmweb", DECODE_SHORT),
    ),
    Target("prefill, two threads over one", both(1.7), two_threads_over_one),
)


@dataclass(frozen=True)
class Verdict:
    title: str
    model: str
    threads: int
    ratio: float
    wanted: str
    met: bool


def judge(medians: Medians, model: str, family: str, threads: int) -> list[Verdict]:
    """Every target whose figures this run has."""
    verdicts = []
    for target in TARGETS:
        ratio = target.ratio(Place(medians, model, threads))
        if ratio is not None:
            limit = target.limits[family]
            wanted = f"{'<=' if target.at_most else '>='} {limit:g}"
            met = ratio <= limit if target.at_most else ratio >= limit
            verdicts.append(Verdict(target.title, model, threads, ratio, wanted, met))
    return verdicts
