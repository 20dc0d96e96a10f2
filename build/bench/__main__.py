"""`make bench`: the command line of the benchmark.

Owns the options and the order of a run: environments, models, measurements, the CSV, the plot and
the report. Everything else is in the modules beside it.
"""

from __future__ import annotations

import datetime
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from script import ROOT, BuildError

from . import busy as busy_cores
from . import engines, environment
from . import long as long_contexts
from .browser import Browser
from .models import MODELS, Model
from .plan import Plan, Runner
from .report import print_report
from .results import Results

RESULTS = ROOT / "docs" / "benchmarks" / "results.csv"

app = typer.Typer(add_completion=False)


def choose(what: str, wanted: str, known: tuple[str, ...]) -> list[str]:
    names = [name for name in wanted.split(",") if name]
    for name in names:
        if name not in known:
            raise typer.BadParameter(f"there is no {what} {name!r}; choose from {', '.join(known)}")
    return names


def prepare_models(names: list[str], console: Console) -> list[Model]:
    models = []
    for name in names:
        try:
            models.append(MODELS[name]())
        except BuildError as error:
            console.print(f"[yellow]skipped[/]: {error}", highlight=False, soft_wrap=True)
    return models


def prepare_engines(names: list[str], browser: Browser, console: Console) -> list[engines.Engine]:
    ready: list[engines.Engine] = []
    for name in names:
        try:
            if name == "native":
                ready.append(engines.Native())
            else:
                ready.append((engines.Slmweb if name == "slmweb" else engines.Wllama)(browser))
        except BuildError as error:
            console.print(f"[red]{name}[/]: {error}", highlight=False, soft_wrap=True)
    return ready


@app.command()
def bench(
    models: Annotated[str, typer.Option(help="Which models, with commas between.")] = ",".join(
        MODELS
    ),
    engine_names: Annotated[
        str, typer.Option("--engines", help="Which engines, with commas between.")
    ] = ",".join(engines.NAMES),
    threads: Annotated[str, typer.Option(help="Numbers of threads, with commas between.")] = "1,2",
    reps: Annotated[int, typer.Option(min=1, help="Repetitions; the medians count.")] = 3,
    contexts: Annotated[bool, typer.Option(help="Also decode at 64 and 2,048 tokens.")] = True,
    busy: Annotated[
        bool,
        typer.Option("--busy", help="Instead: beside 0, 1, 2 and 4 processes that want cores."),
    ] = False,
    long: Annotated[
        bool,
        typer.Option("--long", help="Instead: a model whose layers recur, up to 32,768 tokens."),
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="One short repetition, to see that it works; not kept.")
    ] = False,
    results_file: Annotated[
        Path, typer.Option("--results", help="The CSV to append to; the plot goes beside it.")
    ] = RESULTS,
) -> None:
    """Measures slmweb beside wllama and native llama.cpp on this machine.

    Example: make bench ARGS="--models smollm2-q4_1 --engines slmweb,native --reps 1"
    """
    # Sentences and tables are for a log as well as for a terminal of 80 columns.
    console = Console(width=max(120, Console().width))
    if os.getloadavg()[0] > 0.5:
        console.print(
            "[yellow]The machine is busy with something else: figures will be too low.[/]"
        )
    wanted_engines = choose("engine", engine_names, engines.NAMES)
    wanted_models = choose("model", models, tuple(MODELS))
    plan = Plan(tuple(int(n) for n in threads.split(",")), reps, contexts=contexts)
    if busy:
        plan = Plan(plan.threads, reps, n_prompt=128, n_generate=64, contexts=False)
    if quick:
        plan = Plan(plan.threads, repetitions=1, n_prompt=80, n_generate=16, contexts=False)
    found = Results(datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"))
    if long:
        lengths = (512, 1024) if quick else long_contexts.LENGTHS
        long_contexts.run(found, plan.repetitions, lengths)
        long_contexts.print_long(console, found, lengths)
        if not quick:
            found.append_to(results_file)
            console.print(f"appended to {results_file}", highlight=False)
        return

    with ExitStack() as stack:
        try:
            environment.bench_python()
            ready_models = prepare_models(wanted_models, console)
            browser = stack.enter_context(Browser())
        except BuildError as error:
            console.print(f"[red]bench[/]: {error}", highlight=False, soft_wrap=True)
            raise typer.Exit(1) from None
        runner = Runner(plan, browser, found, console)
        ready_engines = prepare_engines(wanted_engines, browser, console)
        for model in ready_models:
            if busy:
                busy_cores.run(runner, model, ready_engines, plan.threads)
            else:
                runner.run(model, ready_engines)

    if not found.rows:
        console.print("[red]bench[/]: nothing was measured, for the reasons above", highlight=False)
        raise typer.Exit(1)
    if busy:
        busy_cores.print_busy(console, found, ready_models, plan.threads)
    else:
        print_report(console, found, ready_models, plan.threads, plan.n_prompt, runner.texts)
    if not quick:
        found.append_to(results_file)
        console.print(f"appended to {results_file}", highlight=False)
    if not quick and not busy:
        plot = results_file.with_suffix(".svg")
        environment.run_module("plot", str(results_file.absolute()), str(plot.absolute()))
        console.print(f"drawn in {plot}", highlight=False)


app(prog_name="bench")
