"""`slmweb build`: from a checkpoint to a site that any host can serve."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from .bundle import BasePathOption, OutOption
from .common import JsonOption, bytes_text, note, print_json, progress_bar
from .sight import MasksOption
from .site import SiteOptions, takes_site


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: slmweb build gemma-ft/ -o site --adapter lora/")(build)


@takes_site
def build(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT",
            help="A folder as save_pretrained writes it, or a GGUF file.",
            show_default=False,
        ),
    ],
    out: OutOption,
    site: SiteOptions,
    adapter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIR[:WEIGHT]",
            help="A PEFT LoRA adapter to merge into the checkpoint; repeatable.",
        ),
    ] = None,
    type: Annotated[  # noqa: A002 (the option's name)
        str | None,
        typer.Option(
            metavar="TYPE",
            help="web (a measured mix), or one type for all matrices: Q4_0, Q8_0, F16, …",
            show_default="web; a GGUF stays as it is",
        ),
    ] = None,
    max_size: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="With --type web: the best mix of at most 200MB, …"),
    ] = None,
    masks: MasksOption = None,
    sign: Annotated[
        Path | None,
        typer.Option(
            metavar="KEY",
            help="Sign the model with this private key; the page opens no other.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="The model's name for people.", show_default="the folder's"),
    ] = None,
    base_path: BasePathOption = "/",
    json: JsonOption = False,
) -> None:
    """Convert, quantize, pack and bundle: a checkpoint becomes a site."""
    from ..bundle.build import build as make
    from ..pack.sign import public_key_of, read_private_key
    from .convert import parse_adapter
    from .quantize import parse_size

    identity = site.make()
    key = read_private_key(sign) if sign is not None else None
    built = make(
        checkpoint,
        out,
        adapters=[parse_adapter(item) for item in adapter or ()],
        type=type,
        max_size=parse_size(max_size) if max_size is not None else None,
        masks=masks,
        name=name,
        site=identity,
        base_path=base_path,
        key=key,
        step=lambda label: progress_bar(label, "bytes"),
    )
    (manifest,) = built.bundle.models
    for sentence in built.notes:
        note(f"slmweb: {sentence}")
    if json:
        print_json(
            {
                "out": str(built.bundle.out),
                "model": manifest.name,
                "title": manifest.title,
                "type": built.type,
                "mix": built.mix,
                "model_size": manifest.size,
                "files": built.bundle.files,
                "size": built.bundle.size,
                "signed_by": public_key_of(key).id if key is not None else None,
                "notes": list(built.notes),
            }
        )
        return
    mix = f", mix {built.mix}" if built.mix else ""
    kind = f" as {built.type}{mix}" if built.type else ""
    print(f"built {out} with {manifest.title}{kind}, {bytes_text(manifest.size)}")
    print(f"try it with `python -m http.server --bind 127.0.0.1 --directory {quote(str(out))}`")
