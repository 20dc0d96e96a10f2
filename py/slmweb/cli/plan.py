"""`slmweb plan`: memory, download, speed and browsers of a model, before anybody fetches it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import JsonOption, bytes_text, count_text, print_json

if TYPE_CHECKING:
    from ..plan.plan import Option, Plan


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: slmweb plan gemma3-270m --device phone")(plan)


def plan(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A GGUF, a packed folder, a checkpoint (config.json is enough), or a name of "
            "`slmweb pull --list`.",
            show_default=False,
        ),
    ],
    device: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE.json",
            help="phone, laptop, desktop, benchmark, or a JSON file with the same numbers.",
        ),
    ] = "laptop",
    endpoint: Annotated[
        str | None,
        typer.Option(
            envvar="HF_ENDPOINT",
            metavar="URL",
            help="The hub that hf:owner/name is asked of, for config.json.",
            show_default="https://huggingface.co",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Say what a model will need and do on a device; nothing is downloaded."""
    from ..plan.browsers import read_browsers
    from ..plan.plan import plan as make
    from ..plan.rates import read_device

    made = make(model, read_device(device), endpoint=endpoint)
    browsers = read_browsers()
    if json:
        paths = [
            {**asdict(b), "paths": [{"from": v, "build": build} for v, build in b.paths()]}
            for b in browsers
        ]
        print_json({**asdict(made), "browsers": paths})
        return
    print(
        f"{made.model}: {made.architecture}, {count_text(made.parameters)} parameters, context "
        f"{count_text(made.n_ctx_train)}"
    )
    print(
        f"on {made.device.title}: {made.device.memory_gib:g} GiB, of which a tab may take "
        f"{bytes_text(made.available_bytes)}; {made.device.threads} threads\n"
    )
    _print_columns(_speed_rows(made))
    print("\nmemory by context length (* more than a tab may take)\n")
    _print_columns(_memory_rows(made))
    print("\nbrowsers, with COOP and COEP headers on the page\n")
    _print_columns([[b.name, *_paths(b)] for b in browsers])
    print(f"\n{made.recommendation}")


def _speed_rows(made: Plan) -> list[list[str]]:
    lines = list(made.options[0].download_seconds)
    rows = [["", "download", *lines, "prefill/s", "decode/s"]]
    for option in made.options:
        seconds = [_seconds(option.download_seconds[line]) for line in lines]
        rates = (option.prefill_tokens_per_second, option.decode_tokens_per_second)
        rows.append(
            [option.type, bytes_text(option.download_bytes), *seconds, *(_rate(r) for r in rates)]
        )
    return rows


def _memory_rows(made: Plan) -> list[list[str]]:
    rows = [["", *(count_text(need.n_ctx) for need in made.options[0].contexts)]]
    return rows + [[option.type, *_needs(option)] for option in made.options]


def _needs(option: Option) -> list[str]:
    return [bytes_text(c.needed_bytes) + ("" if c.fits else "*") for c in option.contexts]


def _paths(browser: Any) -> list[str]:
    return [f"{version}+ {build}" for version, build in browser.paths()]


def _seconds(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _rate(n: float) -> str:
    return f"{n:.1f}" if n < 10 else count_text(round(n))


def _print_columns(rows: list[list[str]]) -> None:
    width = max(len(row) for row in rows)
    filled = [row + [""] * (width - len(row)) for row in rows]
    widths = [max(len(row[i]) for row in filled) for i in range(width)]
    for row in filled:
        cells = [
            f"{cell:<{w}}" if i == 0 else f"{cell:>{w}}"
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
