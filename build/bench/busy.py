"""The same engines while other programs want the cores: `make bench ARGS=--busy`.

Owns the competitors, the order of the run and its table. What counts is not a share of an idle
machine but of what one could have: at each busyness the rate of one thread, and the fair share of
the cores. That share is measured, as what as many plain loops get: by threads alone two beside one
competitor would have 1.33 of two cores, but a system that is fair between sessions gives them 1.
The levels take turns with the engines, as in plan.py.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

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
FAIR = "fair_cores"

# `n` processes in a session of their own, as another program is, that want a core each. They end
# with the benchmark, however that ends: it is then no longer the parent of the first.
PROGRAM = """
import os, sys, time
n, parent = int(sys.argv[1]), os.getppid()
os.setsid()
if os.fork() == 0:
    first = os.getppid()
    for _ in range(n - 1):
        if os.fork() == 0:
            break
    while os.getsid(0) == first and os.path.exists(f"/proc/{first}"):
        for _ in range(1 << 20):
            pass
    os._exit(0)
print(flush=True)
while os.getppid() == parent:
    time.sleep(0.2)
"""


@contextmanager
def program(n: int) -> Iterator[int]:
    """A program with `n` busy processes; yields its session."""
    if n == 0:
        yield 0
        return
    first = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(n)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert first.stdout
        first.stdout.readline()
        yield first.pid
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()


def cpu_seconds(session: int) -> float:
    """What the processes of a session have computed so far."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def fair_share(threads: int, level: int, seconds: float = 2) -> float:
    """The cores that a program of `threads` busy threads gets beside one of `level`."""
    with program(level), program(threads) as session:
        time.sleep(0.5)  # until the system has spread them
        start, before = time.monotonic(), cpu_seconds(session)
        time.sleep(seconds)
        return (cpu_seconds(session) - before) / (time.monotonic() - start)


def metric(level: int, name: str) -> str:
    """A figure's name in the CSV, beside `level` busy processes."""
    return f"busy_{level}_{name}"


def run(runner: Runner, model: Model, engines: Sequence[Engine], threads: Sequence[int]) -> None:
    """Measures every engine at every level."""
    prompts = make_prompts(model, runner.plan)
    for n in threads:
        for level in LEVELS:
            key = Key(results.MACHINE, model.name, n, metric(level, FAIR))
            runner.results.add(key, fair_share(n, level), 1)
    for engine in engines:
        runner.attempt(engine.name, runner.store, engine, model, prompts)
    for repetition in range(1, runner.plan.repetitions + 1):
        for n in threads:
            for engine in engines:
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
    # What is compared are rates, and a peer may fall below a token a second.
    n_generate = plan.n_generate if engine.name == "slmweb" else plan.n_generate // 4
    n_ctx = 2 * plan.n_prompt + plan.n_generate
    request = runner.request(prompts, threads, [plan.n_prompt], n_ctx, n_generate)
    with program(level):
        result = engine.measure(model, request)
    (one,) = result["runs"]
    figures = {
        results.TO_FIRST: result["first_token_s"],
        results.PREFILL: plan.n_prompt / one["prefill_s"],
        results.DECODE: (n_generate - 1) / one["decode_s"],
    }
    named = {metric(level, name): value for name, value in figures.items()}
    runner.record(engine.name, model, threads, repetition, named, result)


def print_busy(
    console: Console, found: Results, models: Sequence[Model], threads: Sequence[int]
) -> None:
    medians = found.medians()
    for model in models:
        for name, title in ((results.DECODE, "decode"), (results.PREFILL, "prefill")):
            console.print(table(medians, model, name, title, threads))


def ratios(
    medians: Medians, engine: str, model: str, threads: int, level: int, name: str
) -> tuple[float | None, float | None, float | None]:
    """A rate, what it is of one thread's beside the same processes, and of the fair share of the
    cores at one thread's idle rate."""

    def rate(n: int, beside: int) -> float | None:
        return medians.get(Key(engine, model, n, metric(beside, name)))

    value, one, idle = rate(threads, level), rate(1, level), rate(1, 0)
    fair = medians.get(Key(results.MACHINE, model, threads, metric(level, FAIR)))
    return (
        value,
        value / one if value and one else None,
        value / (fair * idle) if value and fair and idle else None,
    )


def table(medians: Medians, model: Model, name: str, title: str, threads: Sequence[int]) -> Table:
    """A row for each engine and number of threads; three columns for each level, see ratios."""
    made = Table(
        "engine", "threads", title=f"{model.title}: {title} tokens/s beside busy processes"
    )
    for level in LEVELS:
        for column in (f"{level} busy", "of one thread", "of the fair share"):
            made.add_column(column, justify="right")
    for engine in ("slmweb", "wllama", "native"):
        for n in threads:
            found = [ratios(medians, engine, model.name, n, level, name) for level in LEVELS]
            if any(rate for rate, _, _ in found):
                made.add_row(engine, str(n), *(show(value) for three in found for value in three))
    return made
