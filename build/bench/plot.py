"""Draws the medians of the last run in a results CSV that is not one beside busy programs.

Runs in the bench environment, which has matplotlib. It reads only the CSV, so that a plot can be
drawn again from what is kept: python -m bench.plot RESULTS.csv PLOT.svg
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

PANELS = {"decode_tokens_per_s": "Decode", "prefill_tokens_per_s": "Prefill of 256 tokens"}
ENGINES = {"wllama": "#b8b8b8", "native": "#6b7f99", "slmweb": "#d9622b"}
LABELS = {"wllama": "wllama", "native": "native llama.cpp", "slmweb": "slmweb"}


def show(value: float) -> str:
    if value == 0:
        return ""  # not measured
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def main(source: Path, target: Path) -> None:
    with source.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["repetition"] == "median"]
    runs = [row["date"] for row in rows if row["metric"] in PANELS]
    if not runs:
        raise SystemExit(f"expected medians in {source}, found none; run make bench")
    run = runs[-1]
    rows = [row for row in rows if row["date"] == run]
    values = {
        (row["engine"], row["model"], row["threads"], row["metric"]): float(row["value"])
        for row in rows
    }
    groups = list(dict.fromkeys((r["model"], r["threads"]) for r in rows if r["engine"] in ENGINES))

    # The same results give the same file, byte for byte.
    mpl.rcParams.update({"svg.hashsalt": "slmweb", "font.size": 9, "svg.fonttype": "none"})
    figure, axes = plt.subplots(1, len(PANELS), figsize=(11, 0.62 * len(groups) + 1.4))
    for axis, (metric, title) in zip(axes, PANELS.items(), strict=True):
        for i, (engine, color) in enumerate(ENGINES.items()):
            heights = [values.get((engine, *group, metric), 0.0) for group in groups]
            places = [g + 0.27 * (i - 1) for g in range(len(groups))]
            bars = axis.barh(places, heights, 0.25, color=color, label=LABELS[engine])
            axis.bar_label(bars, [show(h) for h in heights], padding=2, fontsize=7)
        axis.set_yticks(
            range(len(groups)),
            [f"{model}, {n} thread{'s' if n != '1' else ''}" for model, n in groups],
        )
        axis.invert_yaxis()
        axis.set_title(title)
        axis.set_xlabel("tokens per second")
        axis.spines[["top", "right"]].set_visible(False)
        axis.margins(x=0.1)
    axes[1].set_yticklabels([])
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="lower center", ncols=len(ENGINES))
    figure.suptitle(f"{rows[-1]['machine']}, {run[:10]}", fontsize=9)
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
