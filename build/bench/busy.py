"""The same engines while other programs want the cores: `make bench ARGS=--busy`.

Owns the competitors, the order of the run and its table. What counts is not a share of an idle
machine but of what one could have: at each busyness the rate of one thread, and the fair share of
the cores. The levels take turns with the engines, as in plan.py.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

from . import results
from .engines import Engine
from .models import Model
from .plan import Plan, Prompts, Runner, make_prompts
from .report import show
from .results import Key, Results
from .targets import Medians

LEVELS = (0, 1, 2, 4)

# A competitor ends with the benchmark, however that ends: it is then nobody's child of ours.
COMPETITOR = """
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1 << 20):
        pass
"""


@contextmanager
def competitors(n: int) -> Iterator[None]:
    """`n` processes that want a core each."""
    started = [subprocess.Popen([sys.executable, "-c", COMPETITOR]) for _ in range(n)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.wait()


def metric(level: int, name: str) -> str:
    """A figure's name in the CSV, beside `level` busy processes."""
    return f"busy_{level}_{name}"


def fair_share(threads: int, level: int, cores: int) -> float:
    """The cores that `threads` threads get of a fair system beside `level` busy processes."""
    return min(threads, cores * threads / (threads + level), cores)


def run(runner: Runner, model: Model, engines: Sequence[Engine], threads: Sequence[int]) -> None:
    """Measures every engine at every level; slmweb also with twice the threads of all others."""
    prompts = make_prompts(model, runner.plan)
    for engine in engines:
        runner.attempt(engine.name, runner.store, engine, model, prompts)
    for repetition in range(1, runner.plan.repetitions + 1):
        for n in (*threads, 2 * max(threads)):
            for engine in engines:
                if n > max(threads) and engine.name != "slmweb":
                    continue
                for level in LEVELS:
                    where = (engine, model, prompts, n, level, repetition)
                    runner.attempt(engine.name, measure, runner, *where, disturbed=level == 0)


def measure(
    runner: Runner,
    engine: Engine,
    model: Model,
    prompts: Prompts,
    threads: int,
    level: int,
    repetition: int,
) -> None:
    plan: Plan = runner.plan
    request = runner.request(
        prompts, threads, [plan.n_prompt], 2 * plan.n_prompt + plan.n_generate, plan.n_generate
    )
    with competitors(level):
        result = engine.measure(model, request)
    (one,) = result["runs"]
    figures = {
        results.TO_FIRST: result["first_token_s"],
        results.PREFILL: plan.n_prompt / one["prefill_s"],
        results.DECODE: (plan.n_generate - 1) / one["decode_s"],
    }
    named = {metric(level, name): value for name, value in figures.items()}
    runner.record(engine.name, model, threads, repetition, named, result)


def print_busy(
    console: Console, found: Results, models: Sequence[Model], threads: Sequence[int]
) -> None:
    medians = found.medians()
    for model in models:
        for name, title in ((results.DECODE, "decode"), (results.PREFILL, "prefill")):
            console.print(table(medians, model, name, title, (*threads, 2 * max(threads))))


def table(medians: Medians, model: Model, name: str, title: str, threads: Sequence[int]) -> Table:
    """A row for each engine and number of threads; at each level the rate, then, for slmweb, how
    that stands to one thread beside the same processes and to the fair share of the cores."""
    made = Table(
        "engine", "threads", title=f"{model.title}: {title} tokens/s beside busy processes"
    )
    for level in LEVELS:
        made.add_column(f"{level} busy", justify="right")
        made.add_column("of one thread", justify="right")
        made.add_column("of the fair share", justify="right")
    cores = os.cpu_count() or 1
    for engine in ("slmweb", "wllama", "native"):

        def rate(n: int, level: int, engine: str = engine) -> float | None:
            return medians.get(Key(engine, model.name, n, metric(level, name)))

        idle = rate(1, 0)
        for n in threads:
            rates = [rate(n, level) for level in LEVELS]
            if all(value is None for value in rates):
                continue
            cells: list[str] = []
            for level, value in zip(LEVELS, rates, strict=True):
                one, fair = rate(1, level), fair_share(n, level, cores)
                cells += [
                    show(value),
                    f"{value / one:.2f}" if value and one else "",
                    f"{value / (fair * idle):.2f}" if value and idle else "",
                ]
            made.add_row(engine, str(n), *cells)
    return made
