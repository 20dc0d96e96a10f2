"""Medians, noise and the CSV of the benchmark."""

from __future__ import annotations

import csv
from pathlib import Path

from bench.results import DECODE, Key, Results

KEY = Key("slmweb", "smollm2-q4_1", 2, DECODE)


def run(date: str, *values: float) -> Results:
    results = Results(date)
    for repetition, value in enumerate(values, start=1):
        results.add(KEY, value, repetition, "1.0 in Chromium 1", "relaxed-mt")
    return results


def test_median_and_spread() -> None:
    results = run("2026-01-01", 100.0, 90.0, 120.0)
    assert results.medians() == {KEY: 100.0}
    assert results.spread() == {KEY: 0.3}


def test_the_csv_grows_by_every_repetition_and_the_median(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.csv"
    run("2026-01-01", 100.0, 90.0, 120.0).append_to(path)
    run("2026-01-02", 1234.5678).append_to(path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["date"], row["repetition"], row["value"]) for row in rows] == [
        ("2026-01-01", "1", "100"),
        ("2026-01-01", "2", "90"),
        ("2026-01-01", "3", "120"),
        ("2026-01-01", "median", "100"),
        ("2026-01-02", "1", "1235"),
        ("2026-01-02", "median", "1235"),
    ]
    assert {row["variant"] for row in rows} == {"relaxed-mt"}
