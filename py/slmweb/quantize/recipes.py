"""The mixes behind `--type web`: data, measured by `make quality`.

Owns recipes.toml and the choice among its mixes by size. How a mix was found and
measured is written at the head of that file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..errors import SlmError
from ..generated.abi import TENSOR_TYPES, TensorType
from ..sizes import apart
from .choice import CLASSES, ROW_TABLE, table_type, tensor_class

TABLE = Path(__file__).with_name("recipes.toml")


@dataclass(frozen=True)
class Mix:
    """One type per class of tensors."""

    name: str
    types: Mapping[str, TensorType]  # by class
    kl: float  # nats per token: the models' geometric mean

    def wanted(self, tensor: str) -> TensorType:
        if tensor == ROW_TABLE:
            return table_type(self.types["ffn_in"])
        return self.types[tensor_class(tensor)]


@dataclass(frozen=True)
class Recipes:
    mixes: tuple[Mix, ...]  # the most faithful first
    default: Mix


@cache
def read_recipes() -> Recipes:
    table = tomllib.loads(TABLE.read_text())
    mixes = tuple(
        Mix(entry["name"], {c: TENSOR_TYPES[entry[c]] for c in CLASSES}, entry["kl"])
        for entry in table["mix"]
    )
    ordered = tuple(sorted(mixes, key=lambda mix: mix.kl))
    return Recipes(ordered, next(mix for mix in mixes if mix.name == table["default"]))


def best_mix(max_size: int | None, size_of: Callable[[Mix], int]) -> Mix:
    """The default mix, or the most faithful one whose file has at most `max_size` bytes.

    `size_of` tells the bytes of the file that a mix makes. Raises SlmError
    "invalid_argument" when none fits, with the size of the smallest.
    """
    recipes = read_recipes()
    if max_size is None:
        return recipes.default
    for mix in recipes.mixes:
        if size_of(mix) <= max_size:
            return mix
    smallest = min(recipes.mixes, key=size_of)
    allowed, takes = apart(max_size, size_of(smallest))
    raise SlmError(
        "invalid_argument",
        f"no mix fits {allowed}; the smallest, {smallest.name}, takes {takes}: allow that, or "
        "take a smaller model",
    )
