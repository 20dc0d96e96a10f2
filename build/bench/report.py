"""Prints a run: figures, ratios beside what is wanted, and how far the machine's limit is.

It only lays medians out; targets.py says what they should be.
"""

from __future__ import annotations

from itertools import takewhile

from rich.console import Console
from rich.table import Table

from . import results
from .models import Model
from .results import Key, Results
from .targets import Medians, judge

NOISE = 0.15


def print_report(
    console: Console,
    found: Results,
    models: list[Model],
    threads: tuple[int, ...],
    n_prompt: int,
    texts: dict[tuple[str, str], str],
) -> None:
    medians = found.medians()
    print_figures(console, medians, models, threads)
    print_limits(console, medians, models, threads, n_prompt)
    print_verdicts(console, medians, models, threads)
    print_doubts(console, found, models, texts)


def print_figures(
    console: Console, medians: Medians, models: list[Model], threads: tuple[int, ...]
) -> None:
    metrics = {
        "prefill tok/s": results.PREFILL,
        "decode tok/s": results.DECODE,
        "decode @64": results.DECODE_SHORT,
        "decode @2048": results.DECODE_LONG,
        "load s": results.LOAD,
        "first token s": results.TO_FIRST,
    }
    table = Table("model", "threads", "engine", title="Medians")
    for title in metrics:
        table.add_column(title, justify="right")
    for model in models:
        for n in threads:
            for engine in ("slmweb", "wllama", "native"):
                values = [medians.get(Key(engine, model.name, n, m)) for m in metrics.values()]
                if any(value is not None for value in values):
                    table.add_row(model.name, str(n), engine, *map(show, values))
    console.print(table)


def print_limits(
    console: Console,
    medians: Medians,
    models: list[Model],
    threads: tuple[int, ...],
    n_prompt: int,
) -> None:
    """slmweb's achieved rates: weights only, so attention and norms count as overhead."""
    table = Table("model", "threads", title="slmweb beside what this browser and machine can do")
    prefill_columns = ("prefill GMAC/s", "its kernel alone", "dot peak")
    for title in (*prefill_columns, "decode GMAC/s", "decode GB/s", "read peak GB/s"):
        table.add_column(title, justify="right")
    for model in models:
        work = model.work
        for n in threads:

            def at(engine: str, metric: str, n: int = n, model: Model = model) -> float | None:
                return medians.get(Key(engine, model.name, n, metric))

            prefill, decode = at("slmweb", results.PREFILL), at("slmweb", results.DECODE)
            achieved = (
                prefill and work.prefill_macs(n_prompt) / n_prompt * prefill / 1e9,
                at(results.MACHINE, results.KERNEL_DOT),
                at(results.MACHINE, results.PEAK_DOT),
                decode and work.decode_macs * decode / 1e9,
                decode and work.decode_bytes * decode / 1e9,
                at(results.MACHINE, results.PEAK_READ),
            )
            table.add_row(model.name, str(n), *map(show, achieved))
    console.print(table)


def print_verdicts(
    console: Console, medians: Medians, models: list[Model], threads: tuple[int, ...]
) -> None:
    table = Table("model", "threads", "ratio", title="Targets")
    for title in ("measured", "wanted", ""):
        table.add_column(title, justify="right")
    for model in models:
        for n in threads:
            for verdict in judge(medians, model.name, model.family, n):
                word = "[green]met[/]" if verdict.met else "[red]missed[/]"
                measured = f"{verdict.ratio:.2f}"
                table.add_row(model.name, str(n), verdict.title, measured, verdict.wanted, word)
    if table.row_count:
        console.print(table)


def print_doubts(
    console: Console, found: Results, models: list[Model], texts: dict[tuple[str, str], str]
) -> None:
    """What makes a run less than trustworthy: noise, and engines that say different things."""
    noisy = {key: value for key, value in found.spread().items() if value > NOISE}
    for key, value in sorted(noisy.items(), key=lambda item: -item[1])[:8]:
        console.print(
            f"[yellow]noisy[/]: {key.engine} {key.model} {key.metric} at {key.threads} threads "
            f"spreads over {value:.0%} of its median; other processes may have used the machine",
            highlight=False,
            soft_wrap=True,
        )
    for model in models:
        said = {name: texts[name, model.name] for name in ("slmweb", "native", "wllama")
                if (name, model.name) in texts}  # fmt: skip
        if len(said) > 1:
            columns = list(zip(*said.values(), strict=False))
            same = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))
            console.print(
                f"{model.title}: {', '.join(said)} agree on the first {same} of {len(columns)} "
                "characters (greedy)",
                highlight=False,
            )


def show(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"
