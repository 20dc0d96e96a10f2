"""`slmweb models`: what one can choose from, how large it is, and which devices it fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import JsonOption, bytes_text, columns, note, print_json

if TYPE_CHECKING:
    from ..plan.candidates import Candidate, OnDevice
    from ..pull.registry import Registry


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: slmweb models code --device phone")(models)


def models(
    query: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUERY",
            help="Words of a name, a family, or of what a model is good for.",
            show_default=False,
        ),
    ] = None,
    hub: Annotated[
        bool,
        typer.Option("--hub", help="Search the Hugging Face hub, for families that run here."),
    ] = False,
    device: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|FILE.json",
            help="phone, laptop, mac, desktop, benchmark, or a JSON file; repeatable.",
            show_default="every class",
        ),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            envvar="HF_ENDPOINT",
            metavar="URL",
            help="The hub that --hub searches.",
            show_default="https://huggingface.co",
        ),
    ] = None,
    registry: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A registry of one's own instead of slmweb's.", show_default=False
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the models to choose from: size, licence, use, and the devices that they fit."""
    from ..plan.candidates import by_name, on_hub
    from ..plan.rates import known_devices, read_device
    from ..pull.registry import REGISTRY, read_registry

    devices = [read_device(name) for name in device] if device else known_devices()
    words = " ".join(query or [])
    if hub:
        found = on_hub(words, devices, endpoint)
    else:
        found = by_name(read_registry(registry or REGISTRY), words, devices)
    _show(found, json)


def show_all(registry: Registry, json: bool) -> None:
    """Everything that a registry names, as `slmweb models` shows it."""
    from ..plan.candidates import by_name
    from ..plan.rates import known_devices

    _show(by_name(registry, "", known_devices()), json)


def _show(found: Sequence[Candidate], json: bool) -> None:
    if json:
        print_json({"models": [asdict(one) for one in found]})
        return
    if not found:
        note("nothing matches; fewer words find more, and --hub searches the Hugging Face hub")
        return
    titles = next(([on.device for on in one.devices] for one in found if one.devices), [])
    rows = [["", "parameters", "download", *(t.removeprefix("a ") for t in titles)]]
    rows += [_row(one) for one in found]
    head, *lines = columns(rows)
    print(head)
    for one, line in zip(found, lines, strict=True):
        print(line)
        print(f"  {_about(one)}")
    print(
        "\nthe better place and its tokens/s are predicted for the quantization of `slmweb build`; "
        "~ with\na shorter context, ! too large for the CPU, - not known"
    )


def _about(one: Candidate) -> str:
    terms = one.license or "licence not stated"
    asks = ", asks first" if one.consent and not one.accepted else ""
    about = one.title if one.good_for is None else f"{one.title}: {one.good_for}"
    return f"{about} ({terms}{asks}{', here' if one.path else ''})"


def _row(one: Candidate) -> list[str]:
    return [
        one.name,
        f"{one.parameters / 1e6:,.0f} M" if one.parameters else "-",
        bytes_text(one.download_bytes) if one.download_bytes else "-",
        *map(_fits, one.devices),
    ]


def _fits(on: OnDevice) -> str:
    from ..plan.plan import N_CTX_DEFAULT

    if on.backend is None:
        return "no"
    place = {"cpu": "CPU", "webgpu": "GPU"}[on.backend] + ("!" if on.needs_gpu else "")
    short = "~" if on.n_ctx < N_CTX_DEFAULT else ""
    return f"{place}{short} {on.decode_tokens_per_second:.0f}/s"
