"""libFuzzer on every target, briefly; `make fuzz` does it at length."""

from __future__ import annotations

from functools import partial

import native
from compile import parallel

SECONDS = 10


def test_no_fuzzer_finds_a_fault() -> None:
    native.build(list(native.FUZZERS.values()))
    reports: list[str] = []
    jobs = [partial(native.fuzz, target, SECONDS) for target in native.FUZZERS]
    parallel(jobs, lambda _done, report: reports.append(report))
    assert len(reports) == len(native.FUZZERS)
