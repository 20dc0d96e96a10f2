"""`slmweb embed`: texts as vectors, of models that embed."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated

import typer

from ..errors import SlmError
from .common import (
    JsonOption,
    ModelArgument,
    VariantOption,
    VerifyOption,
    loaded_model,
    print_json,
    progress_bar,
    read_bytes,
)


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Example: slmweb embed MODEL.gguf 'a cat' 'a kitten' --prompt 'task: clustering | '"
    )(embed)


def embed(
    model: ModelArgument,
    texts: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT", help="Texts.", show_default=False)
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Texts too, one a line; - is stdin.", show_default=False),
    ] = None,
    prompt: Annotated[
        str,
        typer.Option(help="What stands before each text; the model's card says for which task."),
    ] = "",
    dimensions: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="The first so many numbers alone, of models trained for that.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.npy",
            help="Write float32 numbers there, a row for each text.",
            show_default=False,
        ),
    ] = None,
    variant: VariantOption = None,
    verify: VerifyOption = False,
    json: JsonOption = False,
) -> None:
    """Embed texts: vectors of length 1, whose products tell how near their meanings are.

    Prints the cosine of every two texts, or with --json the vectors as OpenAI's API has them.
    """
    import numpy as np

    from ..atomic import atomic_file

    lines = read_bytes(file).decode("utf-8", "surrogateescape").splitlines() if file else []
    given = [*(texts or []), *filter(None, lines)]
    if not given:
        raise SlmError("invalid_argument", "there are no texts; name some, or give --file FILE")
    with loaded_model(model, variant, verify=verify) as opened:
        tokens = [opened.tokenizer.encode(prompt + text, special=False, bos=True) for text in given]
        longest = max(map(len, tokens))
        with opened.session(longest) as session, progress_bar("embedding", "items") as progress:
            vectors = []
            for i, ids in enumerate(tokens):
                vectors.append(session.embed(ids, dimensions))
                progress(i + 1, len(given))
    stacked = np.stack(vectors)
    if out is not None:
        with atomic_file(out) as target:
            np.lib.format.write_array(target, stacked, allow_pickle=False)
    if json:
        n = sum(map(len, tokens))
        data = [
            {"object": "embedding", "index": i, "embedding": vector.tolist()}
            for i, vector in enumerate(stacked)
        ]
        usage = {"prompt_tokens": n, "total_tokens": n}
        print_json({"object": "list", "data": data, "model": model.name, "usage": usage})
    elif out is not None:
        print(f"wrote {out}: float32 {list(stacked.shape)}")
    else:
        cosines = stacked @ stacked.T
        print(f"{len(given)} texts, {stacked.shape[1]} numbers each")
        for i, j in itertools.combinations(range(len(given)), 2):
            print(f"{cosines[i, j]:7.4f}  {given[i]!r}  {given[j]!r}")
