"""The verdicts of the benchmark: which medians make a ratio, and on which side of its limit."""

from __future__ import annotations

from bench.results import DECODE, LOAD, PREFILL, TO_FIRST, Key
from bench.targets import judge


def verdicts(family: str, threads: int, **figures: float) -> dict[str, tuple[float, bool]]:
    """Figures are named ENGINE_METRIC_THREADS."""
    metrics = {"decode": DECODE, "prefill": PREFILL, "load": LOAD, "first": TO_FIRST}
    medians = {}
    for name, value in figures.items():
        engine, metric, n = name.split("_")
        medians[Key(engine, "model", int(n), metrics[metric])] = value
    found = judge(medians, "model", family, threads)
    return {verdict.title: (round(verdict.ratio, 3), verdict.met) for verdict in found}


def test_ratios_of_the_same_threads_are_judged_by_family() -> None:
    figures = {"slmweb_decode_1": 70.0, "wllama_decode_1": 10.0, "native_decode_1": 80.0}
    assert verdicts("gemma3", 1, **figures) == {
        "decode over wllama": (7.0, True),
        "decode over native llama.cpp": (0.875, False),
    }
    assert verdicts("smollm2", 1, **figures)["decode over wllama"] == (7.0, False)
    assert verdicts("smollm2", 2, **figures) == {}


def test_a_load_is_to_be_short_so_its_ratio_is_an_upper_bound() -> None:
    title = "first token, stored model, over wllama's load"
    assert verdicts("smollm2", 1, slmweb_first_1=1.0, wllama_load_1=4.0) == {title: (0.25, True)}
    assert verdicts("smollm2", 1, slmweb_first_1=1.1, wllama_load_1=4.0) == {title: (0.275, False)}


def test_scaling_compares_two_threads_with_one() -> None:
    figures = {"slmweb_prefill_1": 100.0, "slmweb_prefill_2": 180.0}
    assert verdicts("smollm2", 2, **figures) == {"prefill, two threads over one": (1.8, True)}
    assert verdicts("smollm2", 1, **figures) == {}
