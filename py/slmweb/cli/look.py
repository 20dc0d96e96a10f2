"""`slmweb look`: what a model's layers make of a text, token by token."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import SlmError
from .common import (
    AdapterOption,
    JsonOption,
    ModelArgument,
    VariantOption,
    loaded_adapters,
    print_json,
    progress_bar,
)

if TYPE_CHECKING:
    from ..core.look import Guesses
    from ..core.model import Model, Tokenizer


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: slmweb look MODEL.gguf 'The capital of France is' --layer 20")(
        look
    )


def look(
    model: ModelArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What it reads.")],
    layer: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Look behind this layer, counted from 0, at every token. By default at the last "
            "token, behind every layer.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=100, help="How many next tokens are shown.")] = 4,
    special: Annotated[
        bool,
        typer.Option(
            "--special/--no-special", help="Parse special tokens in the text, or take them as text."
        ),
    ] = True,
    adapter: AdapterOption = None,
    variant: VariantOption = None,
    json: JsonOption = False,
) -> None:
    """Show what a model would say next, as seen from inside (the logit lens).

    What a layer hands on goes through the model's last norm and its output matrix, as if no layer
    followed: nostalgebraist, 2020.
    """
    from ..core.look import guesses, rows_of
    from ..core.model import Model
    from ..generated.abi import Site

    with progress_bar("loading", "bytes") as progress:
        opened = Model.open(model, variant=variant, progress=progress)
    with opened:
        ids = _tokens(opened, text, special)
        n_layer = opened.info["n_layer"] or 0
        layers = list(range(n_layer)) if layer is None else [layer]
        with (
            loaded_adapters(opened, adapter) as adapters,
            opened.session(max(4, len(ids))) as session,
            progress_bar("evaluating", "tokens") as progress,
        ):
            session.adapters(adapters)
            found = rows_of(
                session, ids, [(Site.RESIDUAL, each) for each in layers], progress=progress
            )
            seen = [guesses(session, rows[-1:] if layer is None else rows, top) for rows in found]
        tokenizer = opened.tokenizer
        at = [len(ids) - 1] if layer is None else list(range(len(ids)))
        if json:
            print_json(
                {
                    "tokens": [_token(tokenizer, token) for token in ids],
                    "lens": [
                        {
                            "layer": each,
                            "token": position,
                            "next": [
                                {**_token(tokenizer, token), "logprob": logprob}
                                for token, logprob in of_token
                            ],
                        }
                        for each, of_layer in zip(layers, seen, strict=True)
                        for position, of_token in zip(at, of_layer, strict=True)
                    ],
                }
            )
        elif layer is None:
            print(f"behind each layer, at the last token, {_shown(tokenizer, ids[-1])}:")
            _print([f"layer {each}" for each in layers], [of[0] for of in seen], tokenizer)
        else:
            print(f"behind layer {layer}:")
            _print([_shown(tokenizer, token) for token in ids], seen[0], tokenizer)


def _tokens(model: Model, text: str, special: bool) -> list[int]:
    """Raises SlmError "invalid_argument" for no text."""
    data = text.encode("utf-8", "surrogateescape")
    ids = model.tokenizer.encode(data, special=special, bos=True)
    if not ids:
        raise SlmError("invalid_argument", "the text has no tokens; give some words")
    return ids


def _token(tokenizer: Tokenizer, token: int) -> dict[str, object]:
    text = tokenizer.decode([token], special=True).decode("utf-8", "replace")
    return {"id": token, "text": text}


def _shown(tokenizer: Tokenizer, token: int) -> str:
    return repr(tokenizer.decode([token], special=True).decode("utf-8", "backslashreplace"))


def _print(labels: list[str], rows: list[Guesses], tokenizer: Tokenizer) -> None:
    width = max(map(len, labels))
    for label, row in zip(labels, rows, strict=True):
        told = [f"{math.exp(p):4.0%} {_shown(tokenizer, token):<14}" for token, p in row]
        print(f"{label:<{width}}  {' '.join(told)}".rstrip())
