"""Writes what was measured: recipes.toml for the package, docs/quality.md and .csv for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from script import ROOT, replace
from slmweb.quantize.choice import CLASSES
from slmweb.quantize.recipes import TABLE

from .measure import N_GENERATE, N_PROMPT, N_TOKENS, Quality, Speed
from .models import Model
from .search import Measured, default_mix

DOCUMENT = ROOT / "docs/quality.md"
FIGURES = ROOT / "docs/quality.csv"

_ABOUT = f"""\
# The mixes behind `slmweb quantize --type web`, written by `make quality`; do not edit.
#
# One type per class of tensors, measured by the shipped core over {N_TOKENS} tokens of prose
# and code against float16 references (docs/quality.md says how they were made). `kl` is
# the geometric mean of the models' divergences in nats per token; per model there are
# bits_per_weight (what one decoded token reads: its cost in memory), dot_products (integer
# ones per weight, 1 for four and five bits and 2 for eight: the cost of prefill), and how far
# the result is from the reference: kl, flips (share of positions whose likeliest token
# differs) and perplexity. The default is the smallest mix that flips at most 15% of the
# positions, on average over the models.
"""

_DOCUMENT = f"""\
# What each tensor type costs

Written by `make quality`, which takes about an hour on two quiet cores and keeps what it has in
`dist/quality`; [quality.csv](quality.csv) has the same figures in full precision.

Both models are measured on {N_TOKENS} tokens of prose and code (`tests/goldens/texts`) by the
WebAssembly core that ships. **KL** is the Kullback-Leibler divergence from the reference's
next-token distribution, mean over the positions, in nats; **flips** is the share of positions
whose likeliest token differs; **perplexity** is that of the text's tokens. **tokens/s** are
those of wasmtime on one thread of the machine that ran this, for {N_PROMPT} prompt and
{N_GENERATE} generated tokens: compare them with each other only (`make bench` has the browser).

What to keep in mind:

- **The references are made from quantized files**: SmolLM2 from Q4_1, Gemma from Q4_K_M (Q4_K,
  Q5_0, Q6_K and Q8_0), the only real ones at hand. Merely dequantized, their weights would lie on
  the grid of those types, which would seem to cost nothing. So the order of every model's inputs
  was shuffled, in all tensors alike (`build/quality/reference.py`): the function is the same, the
  distribution of the weights too, and no block lies on a grid any more. What the shuffle cannot
  give back is what the first quantization took; a model that never was quantized has finer
  structure to lose. Compare types with each other, and measure your own model with `slmweb eval`.
- Activations are quantized too: to 16 bits by the kernels of Q8_0 and IQ4_NL, to 8 bits by all
  others but those of F32, F16 and BF16. That is in the rows.
- A row of the table has every matrix in that one type. Rows of SmolLM2 (576) and Gemma (640) are
  no multiples of 256, so K-quants apply to some matrices only, and the rest falls back as
  llama.cpp's does; "bits" tells.
- The speeds are one run's. Rows of one type, with and without an importance matrix, show how far
  they scatter: by up to a third.
- {N_TOKENS} positions resolve flips to about one percent, and KL to about a tenth of itself.
"""


@dataclass(frozen=True)
class Row:
    model: Model
    kind: str  # "Q4_0", "web", "web, weighted"
    quality: Quality
    speed: Speed | None


def write_recipes(mixes: Sequence[Measured]) -> None:
    lines = [_ABOUT, f'default = "{default_mix(mixes).name}"']
    for mix in mixes:
        lines += ["", "[[mix]]", f'name = "{mix.name}"']
        lines += [f'{part} = "{kind}"' for part, kind in zip(CLASSES, mix.types, strict=True)]
        lines.append(f"kl = {mix.kl:.5f}")
        for name, q in mix.quality.items():
            lines.append(
                f"{name} = {{ bits_per_weight = {q.bits_per_weight:.3f}, "
                f"dot_products = {mix.dot_products[name]:.2f}, kl = {q.kl:.5f}, "
                f"flips = {q.flips:.4f}, perplexity = {q.perplexity:.3f} }}"
            )
    replace(TABLE, ("\n".join(lines) + "\n").encode())


def write_document(models: Sequence[Model], rows: Sequence[Row], mixes: Sequence[Measured]) -> None:
    parts = [_DOCUMENT]
    by_size = sorted(rows, key=lambda row: -row.quality.size)
    for model in models:
        parts.append(f"## {model.title}\n")
        parts.append(
            _table(
                ("type", "MB", "bits", "perplexity", "KL", "flips", "prefill", "decode tokens/s"),
                [_cells(row) for row in by_size if row.model is model],
            )
        )
    parts.append(
        "## The mixes of `--type web`\n\n"
        "Found as `build/quality/search.py` says, the default (**bold**) by the rule that\n"
        "`py/slmweb/quantize/recipes.toml` states. Bits, KL and flips are SmolLM2's, then\n"
        "Gemma's.\n"
    )
    default = default_mix(mixes)
    parts.append(
        _table(
            ("mix", *CLASSES, "bits", "KL", "flips"),
            (
                (
                    f"**{mix.name}**" if mix is default else mix.name,
                    *mix.types,
                    " / ".join(f"{q.bits_per_weight:.2f}" for q in mix.quality.values()),
                    " / ".join(f"{q.kl:.4f}" for q in mix.quality.values()),
                    " / ".join(f"{q.flips:.1%}" for q in mix.quality.values()),
                )
                for mix in mixes
            ),
        )
    )
    replace(DOCUMENT, ("\n".join(parts).rstrip() + "\n").encode())
    replace(FIGURES, _csv(rows))


def _cells(row: Row) -> tuple[str, ...]:
    q, speed = row.quality, row.speed
    return (
        row.kind,
        f"{q.size / 1e6:.1f}",
        f"{q.bits_per_weight:.2f}",
        f"{q.perplexity:.2f}",
        f"{q.kl:.4f}",
        f"{q.flips:.1%}",
        f"{speed.prefill:.0f}" if speed else "",
        f"{speed.decode:.1f}" if speed else "",
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _csv(rows: Sequence[Row]) -> bytes:
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    columns = "model type size bits_per_weight perplexity kl flips prefill decode"
    out.writerow(columns.split())
    for row in rows:
        q, speed = row.quality, row.speed
        quality = f"{q.bits_per_weight:.4f} {q.perplexity:.5f} {q.kl:.6f} {q.flips:.5f}"
        rates = (f"{speed.prefill:.2f}", f"{speed.decode:.2f}") if speed else ("", "")
        out.writerow((row.model.name, row.kind, q.size, *quality.split(), *rates))
    return text.getvalue().encode()
