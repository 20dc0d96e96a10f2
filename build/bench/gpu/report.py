"""Lays a run out: what the device can do, speeds as shares of it, costs, and the operations.

It measures nothing. What an emulated device says of a real one is said in a line of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from .figures import MOST_READ, Figures, Operation
from .node import Device
from .ort import Compared
from .start import REMEMBERED, TIMED, Starts

NOT_SEEN = (
    "Emulated by the processor. What holds on hardware, too: dispatches of a token, and bytes read "
    "over weights. What has not been seen on hardware: tokens/s, both shares, milliseconds of the "
    "host, pipelines and compile times, and which operations take the time."
)


NO_CACHE = (
    "Emulated by the processor, for which the browser keeps no compiled programs: a second start "
    "compiles what the first did. On a GPU the browser keeps them, which both second starts show."
)


def print_device(console: Console, device: Device, rates: dict[str, float]) -> None:
    console.print(
        f"{device.name}: copies {rates['copy_bytes_per_second'] / 1e9:.3g} GB/s (read and "
        f"written), {rates['flops_per_second'] / 1e9:.4g} GFLOP/s in float32",
        highlight=False,
    )
    if device.software:
        console.print(f"[yellow]{NOT_SEEN}[/]", highlight=False)


def print_report(console: Console, found: Sequence[Figures]) -> None:
    _print_speeds(console, found)
    _print_costs(console, found)
    for one in found:
        if one.decode_operations:
            _print_operations(console, one)
    for one in found:
        if one.read_over_weights > MOST_READ:
            console.print(
                f"[red]{one.model}[/]: a token reads {one.read_over_weights:.3f} times its "
                f"weights, more than {MOST_READ}; some are read twice",
                highlight=False,
                soft_wrap=True,
            )


def print_compared(console: Console, one: Compared) -> None:
    console.print(
        f"onnxruntime-web {one.version} on {one.adapter}: {one.ort_ms:.1f} ms a token of "
        f"SmolLM2's shape in 4 bits, slmweb {one.slmweb_ms:.1f} ms: {one.ratio:.2f} times as fast "
        "(rounds in turn, medians)",
        highlight=False,
        soft_wrap=True,
    )


def print_starts(console: Console, found: Starts) -> None:
    names = " ".join(filter(None, found.adapter.values()))
    forms = "/".join(found.forms)
    console.print(f"{found.browser}, {names}; products by {forms}", highlight=False)
    if found.emulated:
        console.print(f"[yellow]{NO_CACHE}[/]", highlight=False)
    table = _table(f"{found.model}: seconds until it is ready (medians)", ("start",), ("ready",
                   "fetching", "device, forms", "weights", "the rest, checks", "of it compiling",
                   "pipelines"))  # fmt: skip
    for kind in found.starts:
        one = found.median(kind)
        seconds = (one.ready_s, one.fetch_s, one.device_s, one.weights_s, one.checks_s)
        cells = [f"{value:.2f}" for value in (*seconds, one.compile_s)]
        table.add_row(kind, *cells, f"{one.pipelines:.0f}")
    console.print(table)
    timed, remembered = found.median(TIMED), found.median(REMEMBERED)
    console.print(
        f"With a remembered form {timed.device_s:.2f} s before the first weight become "
        f"{remembered.device_s:.2f} s, and {timed.ready_s:.1f} s until it is ready "
        f"{remembered.ready_s:.1f} s.",
        highlight=False,
    )


def _print_speeds(console: Console, found: Sequence[Figures]) -> None:
    table = _table("Speed", ("model", "products"), ("prefill tok/s", "GFLOP/s", "of the peak",
                   "decode tok/s", "GB/s", "of the copy"))  # fmt: skip
    for one in found:
        table.add_row(
            one.model,
            one.form,
            f"{_number(one.prefill_tokens_per_s)} ({one.prompt})",
            _number(one.prefill_flops_per_s / 1e9),
            f"{one.prefill_share:.1%}",
            _number(one.decode_tokens_per_s),
            _number(one.decode_bytes_per_s / 1e9),
            f"{one.decode_share:.1%}",
        )
    console.print(table)


def _print_costs(console: Console, found: Sequence[Figures]) -> None:
    table = _table("Costs", ("model",), ("dispatches a token", "host ms a token",
                   "MB read a token", "over weights", "pipelines", "compile s cold", "warm",
                   "memory MB"))  # fmt: skip
    for one in found:
        table.add_row(
            one.model,
            f"{one.dispatches:.0f}",
            f"{one.host_ms:.2f}",
            _number(one.read_bytes / 1e6),
            f"{one.read_over_weights:.3f}",
            str(one.pipelines),
            f"{one.compile_cold_ms / 1000:.2f}",
            f"{one.compile_warm_ms / 1000:.2f}",
            _number(one.memory_bytes / 1e6),
        )
    console.print(table)


def _print_operations(console: Console, one: Figures) -> None:
    """A pass around every dispatch costs more than most dispatches: only shares mean anything."""
    table = _table(f"{one.model}: operations", ("operation",), ("a token's dispatches", "ms",
                   "share", "a prompt's dispatches", "ms", "share"))  # fmt: skip
    prefill = {each.operation: each for each in one.prefill_operations}
    names = [each.operation for each in one.decode_operations]
    names += [name for name in prefill if name not in names]
    decode = {each.operation: each for each in one.decode_operations}
    for name in names:
        cells = [*_cells(decode.get(name), one.decode_operations)]
        cells += _cells(prefill.get(name), one.prefill_operations)
        table.add_row(name, *cells)
    console.print(table)


def _cells(one: Operation | None, every: Sequence[Operation]) -> list[str]:
    if one is None:
        return ["", "", ""]
    total = sum(each.ms for each in every) or 1
    return [f"{one.dispatches:.0f}", f"{one.ms:.3f}", f"{one.ms / total:.0%}"]


def _table(title: str, names: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(*names, title=title)
    for column in numbers:
        table.add_column(column, justify="right")
    return table


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
