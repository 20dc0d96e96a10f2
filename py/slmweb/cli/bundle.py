"""`slmweb bundle`: the chat page and models as a folder of static files."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from .common import JsonOption, bytes_text, note, print_json, progress_bar
from .site import SiteOptions, takes_site

OutOption = Annotated[
    Path,
    typer.Option(
        "-o", "--out", metavar="DIR", help="The site's folder; an earlier site there is replaced."
    ),
]
BasePathOption = Annotated[
    str, typer.Option(metavar="PATH", help="Where on the host it will be, as in /~user/site/.")
]


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: slmweb bundle MODEL.gguf -o site")(bundle)


@takes_site
def bundle(
    models: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL...",
            help="GGUF files, which are packed on the way, and folders made by `slmweb pack`.",
            show_default=False,
        ),
    ],
    out: OutOption,
    site: SiteOptions,
    base_path: BasePathOption = "/",
    public_key: Annotated[
        str | None,
        typer.Option(
            metavar="PUB",
            help="The page opens only models signed by this key: its file, or what keygen printed.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make a site for any web server or CDN. It opens offline after the first visit."""
    from ..bundle.bundle import bundle as write
    from ..pack.sign import read_public_key

    identity = site.make()
    with progress_bar("bundling", "bytes") as progress:
        made = write(
            models,
            out,
            site=identity,
            base_path=base_path,
            public_key=read_public_key(public_key) if public_key is not None else None,
            progress=progress,
        )
    for sentence in made.notes:
        note(f"slmweb: {sentence}")
    if json:
        print_json(
            {
                "out": str(made.out),
                "models": [manifest.name for manifest in made.models],
                "files": made.files,
                "size": made.size,
            }
        )
    else:
        print(
            f"bundled {', '.join(manifest.title for manifest in made.models)} into {out}: "
            f"{made.files} files, {bytes_text(made.size)}"
        )
        print(f"try it with `python -m http.server --bind 127.0.0.1 --directory {quote(str(out))}`")
