"""`slmweb look`: what a model's layers make of a text, token by token."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import SlmError
from .common import (
    AdapterOption,
    JsonOption,
    ModelArgument,
    VariantOption,
    loaded_adapters,
    loaded_model,
    loaded_sae,
    print_json,
    progress_bar,
)

if TYPE_CHECKING:
    from ..core.look import Guesses
    from ..core.model import Model, Tokenizer
    from ..core.sae import Sae
    from ..core.session import Session

_BARS = 30  # characters of the longest


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: slmweb look MODEL.gguf 'The capital of France is' --layer 20")(
        look
    )


def look(
    model: ModelArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What it reads.", show_default=False)],
    layer: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Look behind this layer, counted from 0, at every token. By default at the last "
            "token, behind every layer.",
            show_default=False,
        ),
    ] = None,
    top: Annotated[
        int, typer.Option(min=1, max=1000, help="How many next tokens, or features, are shown.")
    ] = 4,
    sae: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.gguf",
            help="Show the strongest features of this sparse autoencoder, of `slmweb sae`, at "
            "every token, in place of next tokens.",
            show_default=False,
        ),
    ] = None,
    feature: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="With --sae: how active this feature is at every token, and which tokens it makes "
            "more likely.",
            show_default=False,
        ),
    ] = None,
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
    """Show what a model would say next, as seen from inside, or which features are active there.

    What a layer hands on goes through the model's last norm and its output matrix, as if no layer
    followed (the logit lens: nostalgebraist, 2020), or through a sparse autoencoder.
    """
    if feature is not None and sae is None:
        raise SlmError("invalid_argument", "--feature is a feature of an SAE; give --sae FILE, too")
    if layer is not None and sae is not None:
        raise SlmError("invalid_argument", "an SAE belongs to a layer; leave --layer out")
    with loaded_model(model, variant) as opened:
        ids = _tokens(opened, text, special)
        told: dict[str, Any] = {"tokens": [_token(opened.tokenizer, token) for token in ids]}
        with (
            nullcontext() if sae is None else loaded_sae(opened, sae) as encoder,
            loaded_adapters(opened, adapter) as adapters,
            opened.session(max(4, len(ids))) as session,
        ):
            session.adapters(adapters)
            if encoder is None:
                _lens(session, ids, layer, top, told, json=json)
            elif feature is None:
                _features(session, ids, encoder, top, told, json=json)
            else:
                _feature(session, ids, encoder, feature, top, told, json=json)
        if json:
            print_json(told)


def _lens(
    session: Session,
    ids: list[int],
    layer: int | None,
    top: int,
    told: dict[str, Any],
    *,
    json: bool,
) -> None:
    """Behind each layer at the last token, or behind one at every token."""
    from ..core.look import guesses, rows_of
    from ..generated.abi import Site

    tokenizer = session.model.tokenizer
    layers = list(range(session.model.info["n_layer"] or 0)) if layer is None else [layer]
    with progress_bar("evaluating", "tokens") as progress:
        places = [(Site.RESIDUAL, each) for each in layers]
        found = rows_of(session, ids, places, progress=progress)
    seen = [guesses(session, rows[-1:] if layer is None else rows, top) for rows in found]
    at = [len(ids) - 1] if layer is None else list(range(len(ids)))
    if json:
        told["lens"] = [
            {
                "layer": each,
                "token": position,
                "next": _next(tokenizer, of_token),
            }
            for each, of_layer in zip(layers, seen, strict=True)
            for position, of_token in zip(at, of_layer, strict=True)
        ]
    elif layer is None:
        print(f"behind each layer, at the last token, {_shown(tokenizer, ids[-1])}:")
        _print([f"layer {each}" for each in layers], [of[0] for of in seen], tokenizer)
    else:
        print(f"behind layer {layer}:")
        _print([_shown(tokenizer, token) for token in ids], seen[0], tokenizer)


def _features(
    session: Session, ids: list[int], sae: Sae, top: int, told: dict[str, Any], *, json: bool
) -> None:
    """The strongest features at every token."""
    from ..core.look import features, rows_of

    with progress_bar("evaluating", "tokens") as progress:
        (rows,) = rows_of(session, ids, [sae.place], progress=progress)
    found = features(session, sae, rows, top)
    told["sae"] = _named(sae)
    told["features"] = [
        [{"feature": f, "activation": a, "label": sae.label(f)} for f, a in of_token]
        for of_token in found
    ]
    if json:
        return
    print(f"{_title(sae)}:")
    labels = [_shown(session.model.tokenizer, token) for token in ids]
    width = max(map(len, labels))
    for label, of_token in zip(labels, found, strict=True):
        for i, (each, activation) in enumerate(of_token):
            before = label if i == 0 else ""
            print(
                f"{before:<{width}}  {activation:9.2f}  {each:>7}  {sae.label(each) or ''}".rstrip()
            )
        if not of_token:
            print(f"{label:<{width}}  none is active")


def _feature(
    session: Session,
    ids: list[int],
    sae: Sae,
    feature: int,
    top: int,
    told: dict[str, Any],
    *,
    json: bool,
) -> None:
    """One feature at every token, and the tokens that its direction makes more likely."""
    from ..core.look import activations, guesses, rows_of
    from ..generated.abi import Site

    tokenizer = session.model.tokenizer
    direction = sae.direction(feature)
    with progress_bar("evaluating", "tokens") as progress:
        (rows,) = rows_of(session, ids, [sae.place], progress=progress)
    found = activations(session, sae, rows, feature)
    promoted: Guesses = []
    if sae.place[0] != Site.HEADS:
        promoted = guesses(session, direction[None], top)[0]
    told["sae"] = _named(sae)
    told["feature"] = {
        "feature": feature,
        "label": sae.label(feature),
        "activations": found,
        "promotes": _next(tokenizer, promoted),
    }
    if json:
        return
    print(f"{_title(sae)}, feature {feature}: {sae.label(feature) or 'no label'}")
    labels = [_shown(tokenizer, token) for token in ids]
    width, most = max(map(len, labels)), max(found)
    for label, activation in zip(labels, found, strict=True):
        bar = "#" * round(_BARS * activation / most) if most > 0 else ""
        print(f"{label:<{width}}  {activation:9.2f}  {bar}".rstrip())
    if promoted:
        print("makes more likely: " + " ".join(_shown(tokenizer, token) for token, _ in promoted))


def _named(sae: Sae) -> dict[str, Any]:
    site, layer = sae.place
    return {"name": sae.info["name"], "site": site.name.lower(), "layer": layer}


def _title(sae: Sae) -> str:
    site, layer = sae.place
    return f"layer {layer}, {site.name.lower()}"


def _next(tokenizer: Tokenizer, guesses: Guesses) -> list[dict[str, Any]]:
    return [{**_token(tokenizer, token), "logprob": logprob} for token, logprob in guesses]


def _tokens(model: Model, text: str, special: bool) -> list[int]:
    """Raises SlmError "invalid_argument" for no text."""
    data = text.encode("utf-8", "surrogateescape")
    ids = model.tokenizer.encode(data, special=special, bos=True)
    if not ids:
        raise SlmError("invalid_argument", "the text has no tokens; give some words")
    return ids


def _token(tokenizer: Tokenizer, token: int) -> dict[str, Any]:
    text = tokenizer.decode([token], special=True).decode("utf-8", "replace")
    return {"id": token, "text": text}


def _shown(tokenizer: Tokenizer, token: int) -> str:
    return repr(tokenizer.decode([token], special=True).decode("utf-8", "backslashreplace"))


def _print(labels: list[str], rows: Sequence[Guesses], tokenizer: Tokenizer) -> None:
    width = max(map(len, labels))
    for label, row in zip(labels, rows, strict=True):
        told = [f"{math.exp(p):4.0%} {_shown(tokenizer, token):<14}" for token, p in row]
        print(f"{label:<{width}}  {' '.join(told)}".rstrip())
