"""Which mixes are kept, which one is the default, and that recipes.toml says so."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from quality import report
from quality.measure import Quality
from quality.search import Measured, default_mix, front, undominated
from slmweb.quantize import recipes
from slmweb.quantize.choice import CLASSES


def mix(kind: str, bits: tuple[float, float], kl: float, flips: float = 0.05) -> Measured:
    names = ("small", "large")
    quality = {n: Quality(1000, b, 10.0, kl, flips) for n, b in zip(names, bits, strict=True)}
    return Measured((kind,) * len(CLASSES), quality, dict.fromkeys(names, 1.0))


GOOD = mix("Q8_0", (8.5, 8.5), 0.01)
MIDDLE = mix("Q5_0", (5.5, 5.5), 0.05)
BEATEN = mix("Q5_1", (6.0, 6.0), 0.06)
SMALL_HERE = mix("Q4_1", (5.0, 7.0), 0.07)  # larger in the one model, smaller in the other
SMALL = mix("Q4_0", (4.5, 4.5), 0.4, 0.3)


def test_front() -> None:
    points = [(5.0, 0.2, ("b",)), (4.0, 0.3, ("a",)), (6.0, 0.25, ("c",)), (7.0, 0.1, ("d",))]
    assert [types for _, _, (types,) in front(points)] == ["a", "b", "d"]


def test_a_mix_stays_unless_another_beats_it_everywhere() -> None:
    found = undominated([SMALL, BEATEN, GOOD, SMALL_HERE, MIDDLE])
    assert found == [GOOD, MIDDLE, SMALL_HERE, SMALL]


def test_the_default_is_the_smallest_that_seldom_flips() -> None:
    assert default_mix([GOOD, MIDDLE, SMALL]) is MIDDLE


def test_what_is_written_is_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "recipes.toml"
    monkeypatch.setattr(report, "TABLE", table)
    monkeypatch.setattr(recipes, "TABLE", table)
    report.write_recipes([GOOD, MIDDLE, SMALL])
    recipes.read_recipes.cache_clear()
    read = recipes.read_recipes()
    recipes.read_recipes.cache_clear()
    assert [m.name for m in read.mixes] == [GOOD.name, MIDDLE.name, SMALL.name]
    assert read.default.name == MIDDLE.name
    assert {kind.name for kind in read.default.types.values()} == {"Q5_0"}
    assert read.mixes[0].kl == pytest.approx(0.01)
    raw = tomllib.loads(table.read_text())["mix"][1]
    assert raw["small"]["flips"] == 0.05
