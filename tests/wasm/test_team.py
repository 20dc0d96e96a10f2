"""The team of compute threads: a member without a core holds nobody up, and whoever computes,
and however often, the results are the same to the last bit.

team.cpp holds members at chosen places, natively; team.mjs runs the shipped module on threads of
Node, more of them than this machine has cores, beside processes that keep those busy.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import generate
import native
from script import DIST, ROOT
from tests.goldens.tiny_models import MODELS, TYPED_MODELS
from tests.py.models import tiny

ABI = generate.read_abi()
SMOLLM2 = ROOT / "dist/gguf/SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.mark.parametrize("case", ["nobody", "asleep", "taking", "computing", "many"])
def test_a_member_that_is_held_holds_nobody_up(case: str) -> None:
    """Before the first job, before a step, in the middle of a piece; and, for races, in 2,000 jobs
    in which nobody is held."""
    native.build([native.TEAM])
    done = subprocess.run(
        [native.TEAM.output, case], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def evaluate(
    model: Path, size: int, *, started: int | None = None, prompt: int, tokens: int
) -> str:
    """The hash over all logits of a prompt and the tokens after it. Not of the relaxed variant,
    whose fused products may round otherwise once Node has optimized them."""
    options = {
        "module": str(DIST / "wasm/slm-simd-mt.wasm"),
        "initial": ABI.memory.initial_pages,
        "maximum": ABI.memory.maximum_pages,
        "model": str(model),
        "size": size,
        "started": size if started is None else started,
        "prompt": prompt,
        "tokens": tokens,
    }
    script = Path(__file__).parent / "team.mjs"
    done = subprocess.run(
        ["node", script, json.dumps(options)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["hash"])


@contextmanager
def busy(n: int) -> Iterator[None]:
    """Processes that want a core each."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


@pytest.mark.parametrize("name", [*MODELS, *(model.name for model in TYPED_MODELS.values())])
def test_the_logits_do_not_depend_on_the_threads(name: str, tmp_path: Path) -> None:
    model = tiny(name, tmp_path)
    alone = evaluate(model, 1, prompt=45, tokens=3)
    for size in (2, 5):
        assert evaluate(model, size, prompt=45, tokens=3) == alone, f"{size} threads"


def test_threads_that_lose_their_cores_change_nothing() -> None:
    alone = evaluate(SMOLLM2, 1, prompt=150, tokens=20)
    with busy(3):
        assert evaluate(SMOLLM2, 8, prompt=150, tokens=20) == alone


def test_threads_that_never_come_are_not_waited_for() -> None:
    alone = evaluate(SMOLLM2, 1, prompt=40, tokens=3)
    assert evaluate(SMOLLM2, 4, started=2, prompt=40, tokens=3) == alone
