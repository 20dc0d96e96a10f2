"""The plots, as SVG that takes its colours from the page's style sheet.

Written by hand: three plots with axes, whose text stays text (readable by a screen
reader, scaled by a phone) and that follow the page into dark mode, which a
plotting library's files do not. Knows numbers and names, not models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

_WIDTH, _HEIGHT = 440, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 16, 14, 44


@dataclass(frozen=True)
class Point:
    name: str
    x: float
    y: float
    low: float | None = None
    high: float | None = None


class _Axes:
    """A frame with ticks; maps values to places."""

    def __init__(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        names: tuple[str, str],
        percent: tuple[bool, bool],
    ) -> None:
        self.parts: list[Markup] = []
        self.x, self.y = x, y
        for value in ticks(*x):
            at = self.at(value, y[0])[0]
            self.line(at, _HEIGHT - _BOTTOM, at, _TOP, "grid")
            self.text(at, _HEIGHT - _BOTTOM + 16, _tick(value, percent[0]), "middle")
        for value in ticks(*y):
            at = self.at(x[0], value)[1]
            self.line(_LEFT, at, _WIDTH - _RIGHT, at, "grid")
            self.text(_LEFT - 6, at + 4, _tick(value, percent[1]), "end")
        self.text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, names[0], "middle", "name")
        self.parts.append(
            Markup(
                '<text class="name" text-anchor="middle" '
                'transform="translate(12 {}) rotate(-90)">{}</text>'
            ).format(f"{(_TOP + _HEIGHT - _BOTTOM) / 2:.1f}", names[1])
        )

    def at(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return (
            _LEFT + across * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM),
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        self.parts.append(
            Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
                kind, *(f"{value:.1f}" for value in (x1, y1, x2, y2))
            )
        )

    def path(self, places: Sequence[tuple[float, float]], kind: str) -> None:
        self.parts.append(
            Markup('<polyline class="curve {}" points="{}"/>').format(
                kind, " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            )
        )

    def text(self, x: float, y: float, text: str, anchor: str, kind: str = "tick") -> None:
        self.parts.append(
            Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>').format(
                kind, f"{x:.1f}", f"{y:.1f}", anchor, text
            )
        )

    def circle(self, x: float, y: float, radius: float, kind: str, title: str) -> None:
        self.parts.append(
            Markup('<circle class="{}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>').format(
                kind, f"{x:.1f}", f"{y:.1f}", f"{radius:.1f}", title
            )
        )

    def svg(self, label: str) -> Markup:
        return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
            _WIDTH, _HEIGHT, label, Markup("").join(self.parts)
        )


def scatter(points: Sequence[Point], names: tuple[str, str], percent: bool, label: str) -> Markup:
    """Points with their names and, where known, whiskers from `low` to `high`."""
    ys = [v for p in points for v in (p.y, p.low, p.high) if v is not None and math.isfinite(v)]
    if not ys:
        return Markup("")
    high = max(p.x for p in points)
    axes = _Axes((0, nice(high * 1.12)), padded(min(ys), max(ys), percent), names, (False, percent))
    placed: list[tuple[float, float]] = []
    for point in points:
        if not math.isfinite(point.y):
            continue
        x, y = axes.at(point.x, point.y)
        if point.low is not None and point.high is not None and math.isfinite(point.high):
            axes.line(x, axes.at(0, point.low)[1], x, axes.at(0, point.high)[1], "whisker")
        axes.circle(
            x, y, 5, "point", f"{point.name}: {names[0]} {point.x:g}, {names[1]} {point.y:g}"
        )
        right = x > (_LEFT + _WIDTH) / 2
        at = y - 8
        while any(abs(at - other) < 13 and abs(x - across) < 150 for across, other in placed):
            at += 13
        placed.append((x, at))
        axes.text(x - 8 if right else x + 8, at, point.name, "end" if right else "start", "label")
    return axes.svg(label)


def reliability(bins: Sequence[dict[str, float]], label: str) -> Markup:
    """Accuracy over confidence; a point's area is its share of the items."""
    axes = _Axes((0, 1), (0, 1), ("confidence", "accuracy"), (True, True))
    total = sum(entry["items"] for entry in bins)
    (x0, y0), (x1, y1) = axes.at(0, 0), axes.at(1, 1)
    axes.line(x0, y0, x1, y1, "ideal")
    for entry in bins:
        x, y = axes.at(entry["confidence"], entry["accuracy"])
        axes.line(x, y, x, axes.at(0, entry["confidence"])[1], "whisker")
        said = (
            f"{entry['items']:.0f} items: confidence {entry['confidence']:.0%}, "
            f"accuracy {entry['accuracy']:.0%}"
        )
        axes.circle(x, y, 3 + 11 * math.sqrt(entry["items"] / total), "point", said)
    return axes.svg(label)


def thresholds(curve: Sequence[dict[str, float]], at: float, label: str) -> Markup:
    """Precision, recall and F1 over the threshold, and where the one in use is."""
    axes = _Axes((0, 1), (0, 1), ("threshold", "share"), (False, True))
    (x, bottom), (_, top) = axes.at(at, 0), axes.at(at, 1)
    axes.line(x, bottom, x, top, "ideal")
    for i, name in enumerate(("precision", "recall", "f1")):
        axes.path([axes.at(point["threshold"], point[name]) for point in curve], name)
        left = _LEFT + 12 + 84 * i
        axes.path([(left, _HEIGHT - _BOTTOM - 14), (left + 18, _HEIGHT - _BOTTOM - 14)], name)
        title = "F1" if name == "f1" else name
        axes.text(left + 22, _HEIGHT - _BOTTOM - 10, title, "start", "label")
    return axes.svg(label)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`."""
    step = _round_up((high - low) / most)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _tick(value: float, percent: bool) -> str:
    return f"{100 * value:.0f}%" if percent else f"{value:g}"


def nice(value: float) -> float:
    """A round number not below `value`."""
    step = _round_up(value / 6)
    return math.ceil(value / step - 1e-9) * step if value > 0 else 1.0


def padded(low: float, high: float, percent: bool) -> tuple[float, float]:
    """A range around the values, so that none lies on the frame."""
    room = (high - low) * 0.15 or abs(high) * 0.1 or 0.1
    low, high = low - room, high + room
    return (max(0.0, low), min(1.0 + room / 8, high)) if percent else (max(0.0, low), high)


def _round_up(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next((n * power for n in (1, 2, 2.5, 5) if n * power >= value * (1 - 1e-9)), 10 * power)
