"""Competitors come and go with the benchmark, and a peer that hangs does not hold it up."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from bench import busy, environment
from bench.browser import Browser
from bench.results import DECODE, PREFILL, Key
from script import ROOT, BuildError


def processes(session: int) -> int:
    n = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            state, _, _, own, *_ = stat.read_text().rpartition(")")[2].split()
            n += int(own) == session and state != "Z"
    return n


def await_processes(session: int, n: int) -> None:
    """pytest's own limit ends this."""
    while processes(session) != n:
        pass


def test_a_busy_program_has_so_many_processes_and_ends() -> None:
    with busy.program(3) as session:
        before = busy.cpu_seconds(session)
        await_processes(session, 4)  # and the one that watches
        while busy.cpu_seconds(session) <= before:
            pass
    await_processes(session, 0)


def test_it_ends_with_a_benchmark_that_is_killed() -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'build')!r})\n"
        "from bench import busy\n"
        "with busy.program(2) as session:\n"
        "    print(session, flush=True); input()"
    )
    killed = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert killed.stdout
    session = int(killed.stdout.readline())
    await_processes(session, 3)
    killed.kill()
    killed.communicate()
    await_processes(session, 0)


def test_rates_stand_beside_one_thread_and_the_fair_share() -> None:
    rates = {(1, 0): 100.0, (1, 1): 80.0, (2, 0): 180.0, (2, 1): 90.0}
    medians = {
        Key("slmweb", "m", n, busy.metric(level, DECODE)): rate
        for (n, level), rate in rates.items()
    }
    medians[Key("machine", "m", 2, busy.metric(1, busy.FAIR))] = 1.5

    assert busy.ratios(medians, "slmweb", "m", 2, 1, DECODE) == (90.0, 90 / 80, 90 / 150)
    assert busy.ratios(medians, "slmweb", "m", 2, 0, DECODE) == (180.0, 1.8, None)
    assert busy.ratios(medians, "slmweb", "m", 2, 1, PREFILL) == (None, None, None)


@pytest.mark.parametrize(
    "script", ["while (true);", "await new Promise(() => 0);", "throw new Error('odd');"]
)
def test_a_page_without_a_result_is_given_up(script: str, tmp_path: Path) -> None:
    """One that computes for ever, one that waits for ever, and one that fails."""
    (tmp_path / "stuck.js").write_text(
        f"globalThis.bench = {{ measure: async () => {{ {script} }} }};"
    )
    (tmp_path / "fine.js").write_text("globalThis.bench = { measure: async (x) => x + 1 };")
    with Browser(timeout_s=2) as browser:
        browser.server.folders["/pages/"] = tmp_path
        with pytest.raises(BuildError, match="odd" if "odd" in script else "no result after 2 s"):
            browser.measure("stuck", 1)
        assert browser.measure("fine", 1) == 2


def test_what_runs_natively_without_a_result_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper = tmp_path / "python"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o755)
    monkeypatch.setattr(environment, "TIMEOUT_S", 1)
    monkeypatch.setattr(environment, "bench_python", lambda: sleeper)
    with pytest.raises(BuildError, match="no result after 1 s"):
        environment.run_module("native", "measure")
