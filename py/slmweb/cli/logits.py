"""`slmweb logits` and `slmweb perplexity`: what the model computes, as numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import SlmError
from .common import (
    AdapterOption,
    ContextOption,
    JsonOption,
    ModelArgument,
    VariantOption,
    loaded_adapters,
    loaded_model,
    parse_ids,
    print_json,
    progress_bar,
    read_bytes,
)


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: slmweb logits MODEL.gguf --ids 1,2,3 --out logits.npy")(logits)
    app.command(epilog="Example: slmweb perplexity MODEL.gguf text.txt --json")(perplexity)


def logits(
    model: ModelArgument,
    ids: Annotated[
        str, typer.Option(help="Token ids as in 1,2,3, or - for stdin.", show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="FILE.npy", help="Where to write float32 logits, a row for each id."),
    ],
    n_batch: Annotated[
        int, typer.Option("--n-batch", min=1, max=8192, help="Tokens of one evaluation.")
    ] = 128,
    adapter: AdapterOption = None,
    variant: VariantOption = None,
    json: JsonOption = False,
) -> None:
    """Write the logits after each token to a NumPy file."""
    import numpy as np

    from ..atomic import atomic_file

    numbers = parse_ids(read_bytes(None).decode("utf-8", "replace") if ids == "-" else ids)
    if out.is_dir():
        raise SlmError("unwritable", f"cannot write {out}: it is a folder; name a file")
    with (
        loaded_model(model, variant) as opened,
        loaded_adapters(opened, adapter) as adapters,
        opened.session(len(numbers), n_batch) as session,
    ):
        session.adapters(adapters)
        shape = (len(numbers), opened.info["n_vocab"] or 0)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        with atomic_file(out) as file, progress_bar("evaluating", "tokens") as progress:
            np.lib.format.write_array_header_1_0(file, header)
            done = 0
            for block in session.logits(numbers):
                file.write(block.astype("<f4", copy=False).tobytes())
                done += len(block)
                progress(done, len(numbers))
    if json:
        print_json({"out": str(out), "shape": list(shape)})
    else:
        print(f"wrote {out}: float32 {list(shape)}")


def perplexity(
    model: ModelArgument,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The text, or - for stdin.", show_default=False)
    ],
    n_ctx: ContextOption = None,
    adapter: AdapterOption = None,
    variant: VariantOption = None,
    json: JsonOption = False,
) -> None:
    """Print how well the model predicts a text.

    A text that fits into the context is predicted from its second token on. A
    longer one is cut into windows of --n-ctx tokens and the second half of each
    is predicted, as llama-perplexity does.
    """
    from ..core.perplexity import perplexity as compute

    data = read_bytes(file)
    with (
        loaded_model(model, variant) as opened,
        loaded_adapters(opened, adapter) as adapters,
        progress_bar("evaluating", "tokens") as progress,
    ):
        result = compute(opened, data, n_ctx=n_ctx, adapters=adapters, progress=progress)
    if json:
        print_json({"perplexity": result.perplexity, "tokens": result.tokens})
    else:
        windows = "window" if result.windows == 1 else "windows"
        print(
            f"perplexity {result.perplexity:.4f} over {result.tokens} tokens "
            f"({result.windows} {windows} of up to {result.n_ctx})"
        )
