"""`slmweb quantize` and `slmweb imatrix`: a model in fewer bytes, and what guides that."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from ..errors import SlmError
from .common import (
    JsonOption,
    ModelArgument,
    VariantOption,
    bytes_text,
    count_text,
    loaded_model,
    print_json,
    progress_bar,
    read_bytes,
)


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: slmweb quantize model-f16.gguf -o model-web.gguf --type web")(
        quantize
    )
    app.command(epilog="Example: slmweb imatrix model-f16.gguf text.txt -o model.imatrix.gguf")(
        imatrix
    )


def quantize(
    model: ModelArgument,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="OUT.gguf", help="The file to write.")
    ],
    type: Annotated[  # noqa: A002 (the option's name)
        str,
        typer.Option(
            metavar="TYPE",
            help="web (a measured mix), or one type for all matrices: Q4_0, Q8_0, Q6_K, F16, …",
        ),
    ] = "web",
    override: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN=TYPE",
            help="Another type for the matrices whose name matches a glob; repeatable, the last "
            "match counts.",
        ),
    ] = None,
    imatrix: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="An importance matrix, of `slmweb imatrix`."),
    ] = None,
    requantize: Annotated[
        bool, typer.Option("--requantize", help="Quantize again what is quantized already.")
    ] = False,
    max_size: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="With --type web: the best mix of at most 200MB, …"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write a model with other tensor types, usually smaller ones."""
    from ..quantize.choice import parse_override
    from ..quantize.quantize import quantize as write

    limit = None if max_size is None else parse_size(max_size)
    overrides = [parse_override(text) for text in override or ()]
    with progress_bar("quantizing", "bytes") as progress:
        done = write(
            model,
            out,
            type=type,
            overrides=overrides,
            imatrix=imatrix,
            requantize=requantize,
            max_size=limit,
            progress=progress,
        )
    if json:
        print_json(
            {
                "out": str(done.out),
                "size": done.size,
                "source_size": done.source_size,
                "bits_per_weight": done.bits_per_weight,
                "mix": done.mix,
                "types": done.types,
                "weighted": done.weighted,
                "fallbacks": [vars(fallback) for fallback in done.fallbacks],
            }
        )
        return
    mix = f"mix {done.mix}, " if done.mix else ""
    shares = ", ".join(f"{name} {bytes_text(size)}" for name, size in done.types.items())
    print(f"wrote {done.out}: {bytes_text(done.size)} of {bytes_text(done.source_size)}")
    print(f"{mix}{done.bits_per_weight:.2f} bits per weight: {shares}")
    if imatrix is not None:
        print(f"{done.weighted} matrices were weighed by {imatrix}")
    for fallback in done.fallbacks:
        print(
            f"{fallback.tensors} matrices are {fallback.used}: their rows of {fallback.columns} "
            f"are not whole blocks of {fallback.wanted}"
        )


def imatrix(
    model: ModelArgument,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="TEXT",
            help="A text like those that the model will read, or - for stdin.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="OUT.gguf", help="The file to write.")
    ],
    chunk: Annotated[
        int, typer.Option(min=2, max=1 << 20, help="Tokens that are seen together.")
    ] = 512,
    chunks: Annotated[
        int | None,
        typer.Option(min=1, max=1 << 20, help="At most so many chunks.", show_default="all"),
    ] = None,
    variant: VariantOption = None,
    json: JsonOption = False,
) -> None:
    """Compute an importance matrix, in llama.cpp's format."""
    from ..quantize.imatrix import compute, write_imatrix

    data = read_bytes(file)
    if out.is_dir():
        raise SlmError("unwritable", f"cannot write {out}: it is a folder; name a file")
    with loaded_model(model, variant) as opened, progress_bar("observing", "tokens") as progress:
        matrix = compute(
            opened, data, dataset=file.name, chunk=chunk, max_chunks=chunks, progress=progress
        )
    write_imatrix(matrix, out)
    tokens = matrix.chunk_count * matrix.chunk_size
    if json:
        print_json(
            {
                "out": str(out),
                "entries": len(matrix.entries),
                "tokens": tokens,
                "chunks": matrix.chunk_count,
            }
        )
    else:
        print(
            f"wrote {out}: {len(matrix.entries)} matrices over {count_text(tokens)} tokens "
            f"in {matrix.chunk_count} chunks"
        )


_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9,
          "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}  # fmt: skip


def parse_size(text: str) -> int:
    """Bytes of "200MB" or "1.5 GiB"; kB, MB and GB are powers of 1000, as downloads count."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,9})?)\s*([A-Za-z]*)", text.strip())
    unit = _UNITS.get(match[2].upper()) if match else None
    if not match or unit is None or float(match[1]) == 0:
        raise SlmError(
            "invalid_argument", f"--max-size {text!r} is not a size, as in 200MB, 1.5GB or 256MiB"
        )
    return int(float(match[1]) * unit)
