"""`slmweb sae`: sparse autoencoders of Gemma Scope as side files of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .common import JsonOption, bytes_text, count_text, print_json, progress_bar


def register(app: typer.Typer) -> None:
    app.command(
        epilog="Example: slmweb sae layer_12_width_16k_l0_small/ --model gemma3-270m.gguf "
        "-o layer12.sae.gguf"
    )(sae)


def sae(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="PARAMS",
            help="params.npz (Gemma Scope) or params.safetensors (Gemma Scope 2), or its folder.",
        ),
    ],
    model: Annotated[
        Path, typer.Option(metavar="MODEL.gguf", help="The model that it was trained on.")
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="OUT.gguf", help="The file to write.")
    ],
    type: Annotated[  # noqa: A002 (the option's name)
        str, typer.Option(metavar="TYPE", help="The matrices' type: Q8_0, F16, Q4_0, …")
    ] = "Q8_0",
    site: Annotated[
        Literal["residual", "mlp", "heads"] | None,
        typer.Option(
            help="What it reads, where neither config.json nor the folders say so.",
            show_default=False,
        ),
    ] = None,
    layer: Annotated[
        int | None, typer.Option(min=0, help="Of which layer, likewise.", show_default=False)
    ] = None,
    labels: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="What features stand for, as Neuronpedia exports it: .jsonl, .jsonl.gz, .json or "
            ".csv; repeatable.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What it is called.", show_default=False)] = None,
    license: Annotated[  # noqa: A002 (the option's name)
        str | None,
        typer.Option(help="Its licence, as in cc-by-4.0 (Gemma Scope).", show_default=False),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write a sparse autoencoder as a side file of its model, for `slmweb look --sae`.

    JumpReLU SAEs of a layer's residual, of its feed-forward network or of its attention heads.
    """
    from ..convert.sae import SITES, Base, Place, convert_sae
    from ..core.model import Model
    from ..generated.abi import Site
    from ..quantize.choice import tensor_type

    kind = tensor_type(type)
    with Model.open(model, weights=False) as opened:
        opened.layout()
        info = opened.info
    heads = (info["n_head"] or 0) * (info["head_dim"] or 0)
    n_embd = info["n_embd"] or 0
    base = Base(
        info["architecture"] or "",
        info["name"],
        info["n_layer"] or 0,
        {Site.RESIDUAL: n_embd, Site.MLP: n_embd, Site.HEADS: heads},
    )
    with progress_bar("writing", "bytes") as progress:
        done = convert_sae(
            source,
            out,
            base,
            type=kind,
            place=Place(None if site is None else SITES[site], layer),
            labels=labels or [],
            name=name,
            license=license,
            progress=progress,
        )
    if json:
        print_json(
            {
                "out": str(out),
                "site": done.site.name.lower(),
                "layer": done.layer,
                "features": done.features,
                "width": done.width,
                "labels": done.labels,
                "size": done.size,
            }
        )
    else:
        print(
            f"wrote {out}: {count_text(done.features)} features of layer {done.layer}, "
            f"{done.site.name.lower()}, {count_text(done.labels)} with a label, "
            f"{bytes_text(done.size)}"
        )
