"""The results of a run: one row per figure, medians over repetitions, a CSV that only grows.

Owns the file's columns and the names of the metrics. It knows neither how a figure was measured
nor what it should be. The machine is named by its processor, never by its host name.
"""

from __future__ import annotations

import csv
import os
import platform
import statistics
from collections import defaultdict
from dataclasses import dataclass, fields
from pathlib import Path

LOAD = "load_s"
TO_FIRST = "first_token_s"  # from the beginning of the load
PREFILL = "prefill_tokens_per_s"
DECODE = "decode_tokens_per_s"
DECODE_SHORT = "decode_at_64_tokens_per_s"
DECODE_LONG = "decode_at_2048_tokens_per_s"
PEAK_DOT = "peak_gmac_per_s"  # int8 dot products in registers, in the browser
KERNEL_DOT = "kernel_gmac_per_s"  # slmweb's prefill kernel on scratch data
PEAK_READ = "peak_gb_per_s"  # reading as much memory as the model has weights, in the browser

MEDIAN = "median"
MACHINE = "machine"  # the engine of the peaks


@dataclass(frozen=True)
class Row:
    date: str
    machine: str
    engine: str
    version: str
    variant: str
    model: str
    threads: int
    metric: str
    value: float
    repetition: str


@dataclass(frozen=True)
class Key:
    """What a figure is a figure of."""

    engine: str
    model: str
    threads: int
    metric: str


class Results:
    """The rows of one run."""

    def __init__(self, date: str) -> None:
        self.date = date
        self.machine = machine_name()
        self.rows: list[Row] = []

    def add(
        self, key: Key, value: float, repetition: int, version: str = "", variant: str = ""
    ) -> None:
        self.rows.append(
            Row(self.date, self.machine, key.engine, version, variant, key.model, key.threads,
                key.metric, value, str(repetition))
        )  # fmt: skip

    def values(self) -> dict[Key, list[float]]:
        values: dict[Key, list[float]] = defaultdict(list)
        for row in self.rows:
            values[Key(row.engine, row.model, row.threads, row.metric)].append(row.value)
        return values

    def medians(self) -> dict[Key, float]:
        return {key: statistics.median(values) for key, values in self.values().items()}

    def spread(self) -> dict[Key, float]:
        """(largest - smallest) / median: more than a few per cent means that the machine had
        other things to do."""
        return {
            key: (max(values) - min(values)) / statistics.median(values)
            for key, values in self.values().items()
        }

    def append_to(self, path: Path) -> None:
        """Appends every repetition, then the medians."""
        names = [field.name for field in fields(Row)]
        rows = [[getattr(row, name) for name in names] for row in self.rows]
        last = {Key(r.engine, r.model, r.threads, r.metric): r for r in self.rows}
        for key, median in self.medians().items():
            row = last[key]
            rows.append(
                [median if n == "value" else MEDIAN if n == "repetition" else getattr(row, n)
                 for n in names]
            )  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if fresh:
                writer.writerow(names)
            for cells in rows:
                writer.writerow([f"{c:.4g}" if isinstance(c, float) else c for c in cells])


def machine_name() -> str:
    """Processor, the instructions that decide an int8 dot product's speed, and cores."""
    model, flags = platform.processor() or platform.machine(), ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = (line.partition(":") for line in cpuinfo.read_text().splitlines())
        facts = {name.strip(): value.strip() for name, _, value in lines}
        model = facts.get("model name", model)
        flags = facts.get("flags", facts.get("Features", ""))
    wanted = ("avx2", "avx_vnni", "avx512_vnni", "asimddp", "i8mm")
    found = [flag for flag in wanted if flag in flags.split()]
    return f"{model} ({' '.join(found) or 'no dot products'}), {os.cpu_count()} cores"
