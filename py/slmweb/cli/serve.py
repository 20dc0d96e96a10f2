"""`slmweb serve`: the chat page, the core and the packed models on a local port."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from .. import paths
from ..errors import SlmError, os_reason
from .common import JsonOption, note, print_json
from .site import SiteOptions, takes_site


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: slmweb serve --port 8000")(serve)


@takes_site
def serve(
    site: SiteOptions,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes any free one.")] = 8000,
    models: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of packed models.", show_default=False),
    ] = None,
    public_key: Annotated[
        str | None,
        typer.Option(
            metavar="PUB",
            help="The page opens only models signed by this key: its file, or what keygen printed.",
            show_default=False,
        ),
    ] = None,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A further name that the server answers to, as clinic.test or *.clinic.test; "
            "repeat it for more. Loopback names and --host are known.",
            show_default=False,
        ),
    ] = None,
    grace: Annotated[
        int,
        typer.Option(min=0, max=3600, help="Seconds that downloads may take to finish at the end."),
    ] = 10,
    access_log: Annotated[bool, typer.Option("--access-log", help="Log every request.")] = False,
    json: JsonOption = False,
) -> None:
    """Serve the page. The model runs in the browser; nothing typed leaves it."""
    from ..pack.manifest import MANIFEST
    from ..pack.sign import read_public_key
    from ..server import app as web
    from ..server import run as runner
    from ..server.hosts import check_name
    from ..server.models import ModelFolder

    identity = site.make()
    folders = web.Folders.default(models)
    if models is not None and not models.is_dir():
        raise SlmError(
            "unreadable",
            f"{models} is not a folder of packed models; make one with "
            f"`slmweb pack MODEL.gguf -o {quote(str(models / 'NAME'))}`",
        )
    if models is not None and (models / MANIFEST).is_file():
        raise SlmError(
            "unreadable",
            f"{models} is a packed model itself, and --models takes the folder around it: "
            f"--models {quote(str(models.absolute().parent))}",
        )
    if models is not None:
        try:  # the server takes what it cannot list for a folder without models
            next(models.iterdir(), None)
        except OSError as error:
            raise SlmError("unreadable", f"cannot read {models}: {os_reason(error)}") from None
    key = read_public_key(public_key) if public_key is not None else None
    entries = ModelFolder(folders.models).entries()
    names = [entry["name"] for entry in entries]
    listener = runner.bind(host, port)
    hosts = [*(allowed_host or []), host]
    for name in hosts:
        check_name(name)
    application = web.create_app(folders, key, hosts, identity)
    url = runner.url_of(listener)
    for sentence in web.missing_parts(folders):
        note(f"slmweb: {sentence}")
    if not names:
        note(f"slmweb: {folders.models} has no packed model; {paths.how_to_get_a_model()}")
    if identity.guard is not None and identity.guard.model not in names:
        note(
            f"slmweb: the guard {identity.guard.model} is not among the models, and without it the "
            "page opens none; pack it beside them"
        )
    unsigned = [entry["name"] for entry in entries if not entry["signed"]]
    if key is not None and unsigned:
        note(f"slmweb: the page will refuse {', '.join(unsigned)}, not signed; see `slmweb sign`")
    if not runner.is_loopback(listener):
        note(
            "slmweb: other machines can reach this server; browsers there allow storage and "
            "threads only over https, so put a TLS proxy in front, and name what they call it "
            "with --allowed-host"
        )

    def announce() -> None:
        if json:
            print_json({"url": url, "models": names})
        else:
            served = ", ".join(names) or "no model"
            print(f"slmweb serves {served} at {url} (Ctrl-C stops)", flush=True)

    runner.run(application, listener, grace=grace, access_log=access_log, on_ready=announce)
