"""A first start and the next ones: what a visitor waits for, in headless Chromium.

Each round has a fresh profile. The first start fetches the model from this machine and knows
nothing; then the browser is closed and opened again, twice, and finds the model in its storage:
once it has all forms of the products timed, as the first did, and once it is told which one served.
What a browser itself keeps of compiled programs is in both of these, and so apart from our doing.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from slmweb.browser import gpu_switches

from ..browser import Browser
from ..engines import serve_model, serve_slmweb
from ..environment import bundle_page
from ..models import smollm2_q4_1

FIRST = "first"
TIMED = "second, timed"
REMEMBERED = "second, remembered"


@dataclass(frozen=True)
class Start:
    """As pages/start.ts has it."""

    ready_s: float
    fetch_s: float
    device_s: float
    weights_s: float
    checks_s: float
    compile_s: float
    pipelines: float


@dataclass(frozen=True)
class Starts:
    model: str
    browser: str
    adapter: dict[str, str]
    emulated: bool
    forms: tuple[str, ...]  # that served, each once
    starts: dict[str, tuple[Start, ...]]

    def median(self, kind: str) -> Start:
        """Of each figure."""
        found = self.starts[kind]
        each = {f.name: [getattr(one, f.name) for one in found] for f in fields(Start)}
        return Start(**{name: statistics.median(values) for name, values in each.items()})


def measure_starts(rounds: int, say: Callable[[str], None]) -> Starts:
    """Raises BuildError where there is no browser, or none that lends its GPU."""
    bundle_page("start")
    model = smollm2_q4_1()
    replies: dict[str, list[dict[str, Any]]] = {FIRST: [], TIMED: [], REMEMBERED: []}
    for n in range(rounds):
        with Browser(arguments=gpu_switches()) as browser:
            serve_slmweb(browser.server)
            wish = {"model": serve_model(browser.server, model), "kernels": {}}
            say(f"round {n + 1} of {rounds}: {FIRST}")
            replies[FIRST].append(browser.measure("start", wish))
            told = {TIMED: {}, REMEMBERED: replies[FIRST][-1]["kernels"]}
            for kind in sorted(told, reverse=n % 2 == 0):  # which comes first has no advantage
                browser.reopen()
                say(f"round {n + 1} of {rounds}: {kind}")
                replies[kind].append(browser.measure("start", {**wish, "kernels": told[kind]}))
            version = browser.version
    every = [reply for kind in replies.values() for reply in kind]
    return Starts(
        model.title,
        version,
        every[0]["adapter"],
        every[0]["emulated"],
        tuple(sorted({reply["kernels"]["matvec"] for reply in every})),
        {kind: _starts(found) for kind, found in replies.items()},
    )


def _starts(replies: Sequence[dict[str, Any]]) -> tuple[Start, ...]:
    names = [f.name for f in fields(Start)]
    return tuple(Start(**{name: reply[name] for name in names}) for reply in replies)
