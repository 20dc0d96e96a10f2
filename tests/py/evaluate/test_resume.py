"""An evaluation that was stopped goes on: nothing done is done again, nothing else is kept."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from slmweb.errors import SlmError
from slmweb.evaluate.engine import CoreEngine, Timing
from slmweb.evaluate.journal import FILE, Journal, fingerprint
from slmweb.evaluate.prompts import Continuation
from tests.py.cli.program import slmweb

N_ITEMS = 6
# Two labels an item, so that the seventh score is in the middle of the fourth item.
STOP_AT = 7

# The program with a Ctrl-C in the middle of that score.
PROGRAM = """
import os, signal, sys
from slmweb.cli.app import run
from slmweb.evaluate.engine import CoreEngine
score, left = CoreEngine.score, int(sys.argv[1])
def stopped(self, continuation, timing):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGINT)
    return score(self, continuation, timing)
CoreEngine.score = stopped
sys.exit(run(sys.argv[2:]))
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.jsonl"
    lines = [{"text": f"text {i}", "label": "ab"[i % 2]} for i in range(N_ITEMS)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def arguments(model: Path, data: Path, *options: str) -> list[str]:
    out = str(data.with_name("out"))
    return ["eval", str(model), "--data", str(data), "--task", "classify", "-o", out, *options]


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> list[Continuation]:
    """What is scored from now on."""
    seen: list[Continuation] = []
    score = CoreEngine.score

    def noted(self: CoreEngine, continuation: Continuation, timing: Timing) -> list[float]:
        seen.append(continuation)
        return score(self, continuation, timing)

    monkeypatch.setattr(CoreEngine, "score", noted)
    return seen


def test_ctrl_c_loses_the_item_in_progress_and_nothing_else(
    qwen2: Path, data: Path, scores: list[Continuation]
) -> None:
    out = data.with_name("out")
    stopped = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(STOP_AT), *arguments(qwen2, data)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert stopped.returncode == 130, stopped.stderr
    assert f"the same command goes on with what {out} holds" in stopped.stderr
    assert [json.loads(line)["line"] for line in (out / FILE).read_text().splitlines()] == [1, 2, 3]
    assert [path.name for path in out.iterdir()] == [FILE]

    assert slmweb(*arguments(qwen2, data)).returncode == 0
    assert len(scores) == 2 * (N_ITEMS - 3)
    (found,) = json.loads((out / "results.json").read_text())["models"]
    assert found["reused"] == 3

    (out / FILE).unlink()
    whole = slmweb(*arguments(qwen2, data), "--json")
    (expected,) = json.loads(whole.stdout)["models"]
    for name in ("accuracy", "f1", "ece", "perplexity"):
        assert found["metrics"][name] == expected["metrics"][name]


def test_only_what_changed_is_computed_again(
    qwen2: Path, data: Path, scores: list[Continuation]
) -> None:
    def computed(*options: str) -> int:
        before = len(scores)
        assert slmweb(*arguments(qwen2, data, *options)).returncode == 0
        return len(scores) - before

    assert computed() == 2 * N_ITEMS
    # The seed of intervals, a bound and the length of answers change no score.
    assert computed("--seed", "2", "--max-tokens", "5", "--fail-under", "accuracy=0") == 0
    assert computed("--prompt", "{text}?") == 2 * N_ITEMS
    lines = data.read_text().splitlines()
    data.write_text("\n".join(['{"text": "other", "label": "a"}', *lines[1:]]))
    assert computed() == 2


def test_half_a_line_is_not_a_record(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.add("a", "m", {"x": 1})
        journal.add("b", "m", {"x": 2})
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-4])
    with Journal(tmp_path) as journal:
        assert (journal.get("a"), journal.get("b")) == ({"x": 1}, None)
        journal.add("b", "m", {"x": 3})
    with Journal(tmp_path) as journal:
        assert (journal.get("a"), journal.get("b")) == ({"x": 1}, {"x": 3})


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SlmError, match="cannot write") as raised:
        Journal(tmp_path / "file")
    assert raised.value.code == "unwritable"


def test_a_fingerprint_is_of_values() -> None:
    assert fingerprint({"a": 1, "b": None}, (1, 2)) == fingerprint({"b": None, "a": 1}, [1, 2])
    assert fingerprint(1, 2) != fingerprint(12)
