"""`slmweb pack`: a GGUF model as chunks and a manifest that any web server can offer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import SlmError
from .common import JsonOption, bytes_text, note, print_json, progress_bar


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Example: slmweb pack MODEL.gguf -o dist/models/my-model --model-version 2026-11"
    )(pack)


def pack(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL.gguf...",
            help="The model's file, or any or all files of a split set.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="DIR",
            help="The model's own folder; by default where `slmweb serve` looks.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Name in URLs; by default DIR's, or from the file name.", show_default=False
        ),
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="Name for people.", show_default="from metadata")
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(
            "--model-version",
            metavar="LABEL",
            help="What people call this version, e.g. 2026-11.",
            show_default=False,
        ),
    ] = None,
    license: Annotated[  # noqa: A002 (the option's name)
        str | None, typer.Option(help="Licence, as SPDX has it.", show_default="from metadata")
    ] = None,
    license_url: Annotated[
        str | None, typer.Option(help="Where the licence can be read: https://…")
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="Where the model came from, in one line.")
    ] = None,
    good_for: Annotated[
        str | None,
        typer.Option(help="What the model is good for, in one line, for people who choose."),
    ] = None,
    sampling: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=NUMBER",
            help="A sampling default of the chat, e.g. temperature=0.2; repeatable.",
        ),
    ] = None,
    chunk_size: Annotated[
        int, typer.Option(metavar="BYTES", help="The most bytes of a chunk.")
    ] = 16 << 20,
    key: Annotated[
        Path | None,
        typer.Option(
            "--sign",
            metavar="KEY",
            help="Sign the manifest with this private key; see `slmweb keygen`.",
            show_default=False,
        ),
    ] = None,
    adapter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE.gguf[=TITLE]",
            help="A LoRA adapter of the model that the page offers as a domain; repeatable.",
        ),
    ] = None,
    mmproj: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.gguf",
            help="The model's encoder of pictures; by default the mmproj-*.gguf beside the model.",
            show_default=False,
        ),
    ] = None,
    sae: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE.gguf[=TITLE]",
            help="A sparse autoencoder of the model, of `slmweb sae`, for `serve --page inspect`; "
            "repeatable.",
        ),
    ] = None,
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures/--no-pictures", help="Pack the encoder of pictures that is there, or not."
        ),
    ] = True,
    known_answer: Annotated[
        bool,
        typer.Option(
            "--known-answer/--no-known-answer",
            help="Run the model for the known answer that devices are held to, or do not.",
        ),
    ] = True,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read everything back and compare.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Cut a model into chunks named by their SHA-256, and write its manifest."""
    from .. import paths
    from ..core.files import model_files
    from ..pack.manifest import MODEL_NAME
    from ..pack.pack import default_name
    from ..pack.pack import pack as write
    from ..pack.pack import verify as read_back
    from ..vision.encoder_file import encoder_beside

    if mmproj is not None and not pictures:
        raise SlmError("invalid_argument", "--mmproj and --no-pictures say opposites; keep one")
    encoder = mmproj or (encoder_beside(model_files(files)[0]) if pictures else None)
    if name is None and out is not None and MODEL_NAME.fullmatch(out.name):
        name = out.name  # servers find a model by the name of its folder
    chosen = name if name is not None else default_name(model_files(files)[0])
    folder = out or paths.models_dir() / chosen
    with progress_bar("packing", "bytes") as progress:
        manifest = write(
            files,
            folder,
            name=chosen,
            title=title,
            version=version,
            license=license,
            license_url=license_url,
            good_for=good_for,
            source=source,
            sampling=dict(_sampling(item) for item in sampling or ()),
            chunk_size=chunk_size,
            with_known_answer=known_answer,
            key=key,
            adapters=[_titled(item) for item in adapter or ()],
            encoder=encoder,
            saes=[_titled(item) for item in sae or ()],
            or_without=None if mmproj is not None else _blind,
            progress=progress,
        )
    if verify:
        with progress_bar("verifying", "bytes") as progress:
            read_back(folder, progress)
    chunks = sum(len(file.chunks) for file in manifest.files)
    if json:
        print_json(
            {
                "out": str(folder),
                "name": manifest.name,
                "title": manifest.title,
                "version": manifest.version,
                "root": manifest.root,
                "license": manifest.license,
                "size": manifest.size,
                "chunks": chunks,
                "signed": key is not None,
                "verified": verify,
                "known_answer": bool(manifest.known_answer),
                "vision": manifest.vision.projector if manifest.vision else None,
                "saes": [packed.name for packed in manifest.saes],
            }
        )
    else:
        print(
            f"packed {manifest.title} ({manifest.license or 'licence not stated'}) into {folder}:"
        )
        done = f"{', signed' if key else ''}{', verified' if verify else ''}"
        print(f"{bytes_text(manifest.size)} in {chunks} chunks{done}")
        if manifest.vision is not None and encoder is not None:
            print(f"it sees: {encoder.name} is packed with it")
        for packed in manifest.saes:
            print(f"it can be looked into: {packed.name} is packed with it")
        if known_answer and not manifest.known_answer:
            print("without a known answer: not even a layer of it fits the memory of the core here")


def _blind(reason: str) -> None:
    note(f"slmweb: packed without its encoder of pictures: {reason}")


def _titled(item: str) -> tuple[Path, str | None]:
    """FILE or FILE=TITLE. A file whose name has such a sign is itself."""
    name, sign, title = item.partition("=")
    if not sign or Path(item).exists():
        return Path(item), None
    return Path(name), title.strip() or None


def _sampling(item: str) -> tuple[str, float]:
    key, _, value = item.partition("=")
    try:
        return key, float(value)
    except ValueError:
        raise SlmError(
            "invalid_argument", f"--sampling {item!r} is not KEY=NUMBER, as in temperature=0.2"
        ) from None
