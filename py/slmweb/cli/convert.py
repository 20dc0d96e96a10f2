"""`slmweb convert`: a Hugging Face checkpoint, or a LoRA adapter, as a GGUF file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import SlmError
from .common import JsonOption, bytes_text, count_text, note, print_json, progress_bar
from .sight import MasksOption


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: slmweb convert gemma-ft/ -o gemma-ft.gguf --adapter lora/:0.8")(
        convert
    )


def convert(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT",
            help="A folder as save_pretrained writes it; with --base, an adapter's.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--out", metavar="OUT.gguf", help="The file to write.", show_default=False
        ),
    ],
    type: Annotated[  # noqa: A002 (the option's name)
        Literal["f32", "f16", "bf16"], typer.Option("--type", help="The type of the matrices.")
    ] = "f16",
    adapter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIR[:WEIGHT]",
            help="A PEFT LoRA adapter to merge into the checkpoint; repeatable.",
        ),
    ] = None,
    adapter_only: Annotated[
        bool,
        typer.Option(
            "--adapter-only", help="Write the adapter alone, to be loaded beside the base."
        ),
    ] = False,
    base: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The checkpoint that CHECKPOINT, an adapter, was trained on.",
            show_default=False,
        ),
    ] = None,
    masks: MasksOption = None,
    name: Annotated[
        str | None,
        typer.Option(help="The model's name for people.", show_default="the folder's"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Convert a checkpoint to GGUF, merging LoRA adapters, or an adapter alone."""
    from ..convert import convert as write
    from ..convert import convert_adapter
    from ..convert.checkpoint import refuse_adapter

    adapters = [parse_adapter(item) for item in adapter or ()]
    if base is not None:
        checkpoint, adapters = base, [(checkpoint, 1.0), *adapters]
    if adapter_only and not adapters:
        refuse_adapter(checkpoint)
    if adapter_only and len(adapters) != 1:
        raise SlmError(
            "invalid_argument",
            f"--adapter-only writes one adapter, and {len(adapters)} were given; name one",
        )
    if adapter_only and masks is not None:
        raise SlmError("invalid_argument", "an adapter outlines nothing; leave out --masks")
    with progress_bar("converting", "bytes") as progress:
        if adapter_only:
            ((folder, weight),) = adapters
            result = convert_adapter(
                folder, out, base=checkpoint, type=type, weight=weight, name=name, progress=progress
            )
        else:
            result = write(
                checkpoint,
                out,
                type=type,
                adapters=adapters,
                masks=masks,
                name=name,
                progress=progress,
            )
    if json:
        print_json(
            {
                "out": str(out),
                "architecture": result.architecture,
                "type": type,
                "tensors": result.tensors,
                "parameters": result.parameters,
                "size": result.size,
                "vision": None if result.vision is None else str(result.vision),
                "adapter_only": adapter_only,
                "notes": result.notes,
            }
        )
        return
    for sentence in result.notes:
        note(f"slmweb: note: {sentence}")
    what = "adapter" if adapter_only else "model"
    print(
        f"wrote {out}: {result.architecture} {what}, {count_text(result.parameters)} parameters, "
        f"{bytes_text(result.size)}"
    )
    if result.vision is not None:
        also = "" if masks is None else ", and its decoder of masks"
        print(f"wrote {result.vision}: its encoder of pictures{also}")


def parse_adapter(item: str) -> tuple[Path, float]:
    """DIR or DIR:WEIGHT; a folder of that very name wins."""
    folder, colon, weight = item.rpartition(":")
    if not colon or Path(item).exists():
        return Path(item), 1.0
    try:
        return Path(folder), float(weight)
    except ValueError:
        raise SlmError(
            "invalid_argument", f"--adapter {item!r} is not DIR or DIR:WEIGHT, as in lora:0.5"
        ) from None
