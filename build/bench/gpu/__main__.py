"""`make bench-gpu`: the command line of the GPU's benchmark.

Owns the options, the order of a run and the file of results. Everything else is in the modules
beside it.
"""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from script import DIST, BuildError, replace

from ..engines import git_version
from ..results import machine_name
from . import models, node
from .figures import Figures, Plan, measure
from .ort import Compared, compare
from .report import (
    NO_CACHE,
    NOT_SEEN,
    print_compared,
    print_device,
    print_report,
    print_starts,
)
from .start import measure_starts

RESULTS = DIST / "bench" / "gpu.json"
START_RESULTS = DIST / "bench" / "gpu_start.json"

app = typer.Typer(add_completion=False)


@app.command()
def bench(
    names: Annotated[
        str | None,
        typer.Option(
            "--models",
            help=f"Which, with commas between: {', '.join(models.MODELS)}.",
            show_default="all but the tiny ones; on an emulated device "
            + ",".join(models.EMULATED),
        ),
    ] = None,
    prompt: Annotated[
        int | None,
        typer.Option(min=1, max=8192, help="Tokens to read.", show_default="512; emulated 16"),
    ] = None,
    generate: Annotated[
        int | None,
        typer.Option(min=1, max=4096, help="Tokens to write.", show_default="64; emulated 4"),
    ] = None,
    reps: Annotated[
        int, typer.Option(min=1, help="Prompts that are read, or first starts; medians count.")
    ] = 3,
    profile: Annotated[bool, typer.Option(help="Also a table of the operations.")] = True,
    ort: Annotated[
        bool, typer.Option("--ort", help="Also onnxruntime-web on the same device.")
    ] = False,
    host: Annotated[
        bool, typer.Option("--host", help="Instead: what recording costs the processor.")
    ] = False,
    start: Annotated[
        bool, typer.Option("--start", help="Instead: a first start and the next in Chromium.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where all figures go as JSON.",
            show_default=f"{RESULTS.name}, of --start {START_RESULTS.name}",
        ),
    ] = None,
) -> None:
    """Measures the GPU path of this machine beside what its device can do.

    Example: make bench-gpu ARGS="--models gemma3-1b-q4_0,gemma3-1b-q8_0 --no-profile"
    """
    console = Console(width=max(120, Console().width))

    def say(what: str) -> None:
        console.print(f"{what} ...", highlight=False)

    try:
        if start:
            starts = measure_starts(reps, say)
            print_starts(console, starts)
            note = NO_CACHE if starts.emulated else None
            write(console, out or START_RESULTS, {**asdict(starts), "note": note})
            return
        wanted = models.choose(names) if names is not None else None
        runner = node.Node()
        if host:
            console.print(node.host_cost(runner.device), highlight=False, end="")
            return
        software = runner.device.software
        plan = Plan(
            prompt=prompt or (16 if software else 512),
            past=8 if software else 64,
            generate=generate or (4 if software else 64),
            repeat=1 if software else reps,
            warm=not software,
            profile=profile,
            profiled=1 if software else 8,
        )
        rates: dict[str, float] = runner.ask("device")
    except BuildError as error:
        console.print(f"[red]bench-gpu[/]: {error}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    print_device(console, runner.device, rates)
    found: list[Figures] = []
    for name in wanted or (models.EMULATED if software else models.REAL):
        try:
            found.append(measure(runner, models.MODELS[name](), rates, plan, say))
        except BuildError as error:
            console.print(f"[yellow]{name}[/]: {error}", highlight=False, soft_wrap=True)
    if not found:
        console.print("[red]bench-gpu[/]: nothing was measured, for the reasons above")
        raise typer.Exit(1)
    print_report(console, found)
    compared: Compared | None = None
    if ort:
        try:
            compared = compare(runner, plan, say)
            print_compared(console, compared)
        except BuildError as error:
            console.print(f"[yellow]onnxruntime-web[/]: {error}", highlight=False, soft_wrap=True)
    results = {
        "adapter": runner.device.adapter,
        "emulated": software,
        "not_seen_on_hardware": NOT_SEEN if software else None,
        "device": rates,
        "models": [one.to_json() for one in found],
        "onnxruntime": compared and compared.to_json(),
    }
    write(console, out or RESULTS, results)


def write(console: Console, out: Path, results: dict[str, Any]) -> None:
    told = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "version": git_version(),
        "machine": machine_name(),
        **results,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    replace(out, json.dumps(told, indent=1).encode() + b"\n")
    console.print(f"written to {out}", highlight=False)


app(prog_name="bench-gpu")
