"""`slmweb tokenize` and `slmweb detokenize`: text and token ids, no weights needed."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .common import JsonOption, ModelArgument, parse_ids, print_json, read_bytes


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: slmweb tokenize MODEL.gguf --json < text.txt")(tokenize)
    app.command(epilog="Example: slmweb detokenize MODEL.gguf --ids 1,2,3")(detokenize)


def tokenize(
    model: ModelArgument,
    text: Annotated[
        str | None,
        typer.Option(help="The text; by default stdin, byte for byte.", show_default=False),
    ] = None,
    special: Annotated[
        bool,
        typer.Option(
            "--special/--no-special", help="Parse special tokens in the text, or take them as text."
        ),
    ] = True,
    bos: Annotated[
        bool, typer.Option("--bos/--no-bos", help="Add BOS and EOS where the model asks for them.")
    ] = True,
    json: JsonOption = False,
) -> None:
    """Print the token ids of a text."""
    from ..core.model import Model

    data = read_bytes(None) if text is None else text.encode("utf-8", "surrogateescape")
    with Model.open(model, weights=False) as opened:
        tokenizer = opened.tokenizer
        ids = tokenizer.encode(data, special=special, bos=bos)
        if json:
            print_json({"ids": ids})
            return
        for token in ids:
            piece = tokenizer.decode([token], special=True)
            print(f"{token:>8}  {piece.decode('utf-8', 'backslashreplace')!r}")


def detokenize(
    model: ModelArgument,
    ids: Annotated[
        str | None,
        typer.Option(
            help="Token ids as in 1,2,3; by default stdin, also as tokenize --json prints them.",
            show_default=False,
        ),
    ] = None,
    special: Annotated[
        bool,
        typer.Option("--special/--no-special", help="Show special tokens, or leave them out."),
    ] = True,
    json: JsonOption = False,
) -> None:
    """Print the text of token ids, byte for byte."""
    from ..core.model import Model

    numbers = parse_ids(read_bytes(None).decode("utf-8", "replace") if ids is None else ids)
    with Model.open(model, weights=False) as opened:
        data = opened.tokenizer.decode(numbers, special=special)
    if json:
        print_json({"text": data.decode("utf-8", "replace")})
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
