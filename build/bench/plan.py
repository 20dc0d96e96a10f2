"""What is measured, in which order: every model, number of threads, repetition and engine.

The engines take turns (A B C A B C ...), so that a machine that slows down or is disturbed does so
to all of them. An engine that fails says so in one sentence and the others go on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from script import DIST, BuildError

from . import environment, results
from .browser import Browser
from .engines import Engine
from .models import Model
from .results import Key, Results
from .shapes import Prompt, Request, Result

FIRST, WARMUP, SHORT, LONG = 16, 48, 64, 2048  # prompt lengths, besides the main one


# An engine that has the machine to itself makes nothing wait for longer.
DISTURBED = 0.1


def waiting_seconds() -> float:
    """How long, since the machine started, some process waited for a core; 0 if it cannot tell."""
    pressure = Path("/proc/pressure/cpu")
    try:
        return int(pressure.read_text().splitlines()[0].rpartition("total=")[2]) / 1e6
    except OSError:
        return 0.0


@dataclass(frozen=True)
class Plan:
    threads: tuple[int, ...] = (1, 2)
    repetitions: int = 3
    n_prompt: int = 256
    n_generate: int = 64
    contexts: bool = True  # also decode at 64 and at 2,048 tokens of context


Prompts = dict[int, Prompt]


def make_prompts(model: Model, plan: Plan) -> Prompts:
    lengths = sorted({FIRST, WARMUP, SHORT, LONG, plan.n_prompt})
    found = environment.run_module("native", "prompts", str(model.path), *map(str, lengths))
    return {int(n): prompt for n, prompt in json.loads(found).items()}


class Runner:
    """Carries a plan out and collects rows; it also keeps the texts, which tell whether the
    engines computed the same thing."""

    def __init__(self, plan: Plan, browser: Browser, into: Results, console: Console) -> None:
        self.plan = plan
        self.browser = browser
        self.results = into
        self.console = console
        self.texts: dict[tuple[str, str], str] = {}  # by engine and model
        environment.bundle_page("peak")
        environment.bundle_page("peak_worker")
        environment.compile_peak()

    def run(self, model: Model, engines: list[Engine]) -> None:
        prompts = make_prompts(model, self.plan)
        # The first load stores the model in the browser, so it is not a figure.
        for engine in engines:
            self.attempt(engine.name, self.store, engine, model, prompts)
        for threads in self.plan.threads:
            self.attempt("peak", self.measure_peak, model, threads)
            for repetition in range(1, self.plan.repetitions + 1):
                for engine in engines:
                    where = (model, prompts, threads, repetition)
                    self.attempt(engine.name, self.measure_speed, engine, *where)
                    if self.plan.contexts and self.is_worth_a_long_context(engine, repetition):
                        self.attempt(engine.name, self.measure_contexts, engine, *where)

    def is_worth_a_long_context(self, engine: Engine, repetition: int) -> bool:
        """Only slmweb has a target; wllama would take minutes to prefill 2,048 tokens."""
        return engine.name == "slmweb" or (engine.name == "native" and repetition == 1)

    def attempt(self, name: str, measure: Any, *arguments: Any, disturbed: bool = True) -> None:
        """`disturbed` says when something else waited for a core meanwhile."""
        start, waited = time.monotonic(), waiting_seconds()
        try:
            measure(*arguments)
        except BuildError as error:
            self.console.print(f"[red]{name}[/]: {error}", highlight=False, soft_wrap=True)
        share = (waiting_seconds() - waited) / (time.monotonic() - start)
        if disturbed and share > DISTURBED:
            self.console.print(
                f"[yellow]disturbed[/]: for {share:.0%} of that time something waited for a core",
                highlight=False,
            )

    def store(self, engine: Engine, model: Model, prompts: Prompts) -> None:
        engine.measure(model, self.request(prompts, max(self.plan.threads), [], 2 * WARMUP, 1))

    def request(
        self, prompts: Prompts, threads: int, lengths: Iterable[int], n_ctx: int, n_generate: int
    ) -> Request:
        return {
            "model": "",  # the engine's own
            "threads": threads,
            "n_ctx": n_ctx,
            "first": prompts[FIRST],
            "warmup": prompts[WARMUP],
            "n_warmup": 16,
            "prompts": [prompts[n] for n in lengths],
            "n_generate": n_generate,
        }

    def measure_speed(
        self, engine: Engine, model: Model, prompts: Prompts, threads: int, repetition: int
    ) -> None:
        n_prompt, n_generate = self.plan.n_prompt, self.plan.n_generate
        request = self.request(prompts, threads, [n_prompt], 2 * n_prompt, n_generate)
        result = engine.measure(model, request)
        (run,) = result["runs"]
        self.texts.setdefault((engine.name, model.name), run["text"])
        figures = {
            results.LOAD: result["load_s"],
            results.TO_FIRST: result["first_token_s"],
            results.PREFILL: n_prompt / run["prefill_s"],
            results.DECODE: (n_generate - 1) / run["decode_s"],
        }
        self.record(engine.name, model, threads, repetition, figures, result)

    def measure_contexts(
        self, engine: Engine, model: Model, prompts: Prompts, threads: int, repetition: int
    ) -> None:
        n_generate = 32
        n_ctx = LONG + 2 * n_generate
        request = self.request(prompts, threads, [SHORT, LONG], n_ctx, n_generate)
        result = engine.measure(model, request)
        short, long = ((n_generate - 1) / run["decode_s"] for run in result["runs"])
        figures = {results.DECODE_SHORT: short, results.DECODE_LONG: long}
        self.record(engine.name, model, threads, repetition, figures, result)

    def measure_peak(self, model: Model, threads: int) -> None:
        core = DIST / "wasm" / "slm-relaxed.wasm"
        self.browser.server.files["/core.wasm"] = core
        request = {
            "peak_wasm": "/pages/peak.wasm",
            "core_wasm": "/core.wasm" if core.is_file() else None,
            "threads": threads,
            "bytes": model.work.decode_bytes // threads,
            "seconds": 0.3,
        }
        reply = self.browser.measure("peak", request)
        figures = {
            results.PEAK_DOT: reply["dot_macs_per_s"] / 1e9,
            results.PEAK_READ: reply["read_bytes_per_s"] / 1e9,
        }
        if core.is_file():
            figures[results.KERNEL_DOT] = reply["kernel_macs_per_s"] / 1e9
        where = Result(
            version=self.browser.version, variant="relaxed", load_s=0, first_token_s=0, runs=[]
        )
        self.record(results.MACHINE, model, threads, 1, figures, where)

    def record(
        self,
        engine: str,
        model: Model,
        threads: int,
        repetition: int,
        figures: dict[str, float],
        result: Result,
    ) -> None:
        for metric, value in figures.items():
            key = Key(engine, model.name, threads, metric)
            self.results.add(key, value, repetition, result["version"], result["variant"])
        shown = "  ".join(f"{metric} {value:.3g}" for metric, value in figures.items())
        self.console.print(
            f"{model.name}  {threads} thread{'s' * (threads > 1)}  #{repetition}  "
            f"{engine:8}{shown}",
            highlight=False,
            soft_wrap=True,
        )
