"""Finds the mixes of `--type web`: which type each class of tensors should have.

Sensitivity first: with everything else in Q8_0, one class at a time is lowered to
Q4_0 and the rise of the divergence measured, for both models. To first order the
rise is proportional to the squared error of the weights (the linearity theorem of
Malinovskii et al. 2024, HIGGS), so what other types would do follows from their
errors, and the sum over classes predicts every mix that there is. Those that no
other beats in both bytes and predicted divergence are then measured as they are.

The candidates are the types with blocks of 32, which divide the rows of every
small model (those of SmolLM2, Gemma 3 and Qwen2.5 are no multiples of 256), whose
kernels take one integer dot product per weight, or two in 8 bits, and which need
no optional package.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from slmweb.quantize.choice import CLASSES, is_matrix, tensor_class

from .measure import Quality
from .models import Model

CANDIDATES = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")
BEST, PROBE = "Q8_0", "Q4_0"

# Integer dot products per weight: the planes of wasm/src/cpu/kernels/formats.h.
DOT_PRODUCTS = {"Q8_0": 2}

# Of the default mix, on average over the models.
MAX_FLIPS = 0.15

# Neighbours on the front that differ by less in divergence are one choice.
STEP = 1.5

Types = tuple[str, ...]  # one per class, in the order of CLASSES


@dataclass(frozen=True)
class Measured:
    """One mix on every model, by the model's name."""

    types: Types
    quality: Mapping[str, Quality]
    dot_products: Mapping[str, float]  # per weight

    @property
    def kl(self) -> float:
        return geometric_mean([quality.kl for quality in self.quality.values()])

    @property
    def name(self) -> str:
        """Its bits per weight in the first model."""
        return f"web-{next(iter(self.quality.values())).bits_per_weight:.2f}"


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def by_class(types: Types) -> dict[str, str]:
    return dict(zip(CLASSES, types, strict=True))


def sensitivities(model: Model) -> tuple[Quality, dict[str, Quality]]:
    """Everything in BEST, and the same with one class in PROBE."""

    def measure(types: dict[str, str]) -> Quality:
        return model.bench.quality(model.mixed(types))

    best = dict.fromkeys(CLASSES, BEST)
    return measure(best), {part: measure(best | {part: PROBE}) for part in CLASSES}


def predictor(model: Model) -> Callable[[Types], float]:
    """The divergence of any mix: the base and the rises of its classes."""
    base, lowered = sensitivities(model)
    rises = {
        # Within the noise of 512 tokens a rise may come out below zero.
        (part, kind): max(0.0, lowered[part].kl - base.kl) * error / errors[PROBE]
        for part, errors in model.errors(CANDIDATES).items()
        for kind, error in errors.items()
    }
    return lambda types: base.kl + sum(rises[item] for item in by_class(types).items())


def front(points: Sequence[tuple[float, float, Types]]) -> Iterator[tuple[float, float, Types]]:
    """Of (bytes, divergence, mix) those that no other beats in both, smallest first."""
    lowest = math.inf
    for point in sorted(points):
        if point[1] < lowest:
            lowest = point[1]
            yield point


def candidates(models: Sequence[Model]) -> list[Types]:
    """Mixes worth measuring: on the front of some model, thinned out."""
    predict = [predictor(model) for model in models]
    every = list(itertools.product(CANDIDATES, repeat=len(CLASSES)))
    score = {types: geometric_mean([p(types) for p in predict]) for types in every}
    chosen: dict[Types, None] = {}
    for model in models:
        previous = math.inf
        for _, kl, types in front(
            [(model.bits_per_weight(by_class(types)), score[types], types) for types in every]
        ):
            if kl * STEP < previous:
                previous = kl
                chosen[types] = None
    return list(chosen)


def measure(models: Sequence[Model], types: Types) -> Measured:
    mix = by_class(types)
    return Measured(
        types,
        {model.name: model.bench.quality(model.mixed(mix)) for model in models},
        {model.name: dot_products(model, mix) for model in models},
    )


def dot_products(model: Model, mix: Mapping[str, str]) -> float:
    """Integer dot products per weight of the matrices."""
    done = weights = 0
    for tensor in model.tensors:
        if is_matrix(tensor["name"], tensor["shape"]):
            n = math.prod(tensor["shape"])
            weights += n
            done += n * DOT_PRODUCTS.get(mix[tensor_class(tensor["name"])], 1)
    return done / weights


def undominated(found: Sequence[Measured]) -> list[Measured]:
    """Those that no other beats in divergence and in every model's bytes; most faithful first."""

    def beats(a: Measured, b: Measured) -> bool:
        smaller = all(
            a.quality[name].bits_per_weight <= b.quality[name].bits_per_weight for name in b.quality
        )
        return a is not b and smaller and a.kl <= b.kl

    kept = [mix for mix in found if not any(beats(other, mix) for other in found)]
    return sorted(kept, key=lambda mix: mix.kl)


def default_mix(mixes: Sequence[Measured]) -> Measured:
    """The smallest whose likeliest token is the reference's at 85% of the positions."""

    def faithful(mix: Measured) -> bool:
        flips = [quality.flips for quality in mix.quality.values()]
        return sum(flips) / len(flips) <= MAX_FLIPS

    def bits(mix: Measured) -> float:
        return sum(quality.bits_per_weight for quality in mix.quality.values())

    return min(filter(faithful, mixes), key=bits)
