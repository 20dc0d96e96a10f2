"""The team of compute threads: a member without a core holds nobody up, and whoever computes,
and however often, the results are the same to the last bit.

team.cpp and adapted.cpp hold members at chosen places, natively; team.mjs runs the shipped module
on threads of Node, more of them than this machine has cores, beside processes that keep those busy.
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
from tests.goldens.tiny_adapters import EVERY, LAW, TALE, write_adapter
from tests.goldens.tiny_models import MODELS, TYPED_MODELS, TinyModel
from tests.py.models import tiny

ABI = generate.read_abi()
SMOLLM2 = ROOT / "dist/gguf/SmolLM2-135M-Instruct.Q4_1.gguf"


TINY = {**MODELS, **{model.name: model for model in TYPED_MODELS.values()}}
# Untied and tied, with the embedding scaled, two kinds of layers, rows quantized by all for all.
ADAPTED = ("llama", "llama-gqa", "gemma", "gemma2", "gemma3", "qwen3", "qwen2-q4_0", "qwen2-q6_k")


def run(*arguments: str | Path) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("program", [native.TEAM, native.TEAM_RACES], ids=lambda p: str(p.name))
@pytest.mark.parametrize("case", ["nobody", "asleep", "taking", "computing", "many", "brief"])
def test_a_member_that_is_held_holds_nobody_up(case: str, program: native.Program) -> None:
    """Before the first job, before a step, in the middle of a piece; and, for races, in 2,000 jobs
    in which nobody is held, and 300,000 that are over, and their memory gone, before most come.
    """
    native.build([program])
    run(program.output, case)


def adapters(model: TinyModel, folder: Path) -> list[Path]:
    return [write_adapter(model, a, folder / f"{a.name}.gguf") for a in (EVERY, LAW, TALE)]


@pytest.mark.parametrize("name", ["llama", "gemma"])
@pytest.mark.parametrize(
    "place", ["nowhere", "absent", "asleep", "lowering", "raising", "embedding"]
)
def test_a_member_that_is_held_changes_no_adapter(place: str, name: str, tmp_path: Path) -> None:
    """Where an adapter's A is multiplied, its B, and where a row of an embedding's A is taken."""
    native.build([native.ADAPTED])
    every, law, tale = adapters(TINY[name], tmp_path)
    mix = (every, "0.75", law, "-1.5", tale, "0.5")
    run(native.ADAPTED.output, place, tiny(name, tmp_path), *mix)


Mix = list[tuple[str, float]]


def evaluate(
    model: Path,
    size: int,
    *,
    started: int | None = None,
    prompt: int,
    tokens: int,
    mixes: list[Mix] | None = None,
    exact: bool = False,
) -> list[str]:
    """For each mix of adapters the hash over all logits of a prompt and the tokens after it. Not
    of the relaxed variant, whose fused products may round otherwise once Node has optimized them.
    """
    options = {
        "module": str(DIST / "wasm/slm-simd-mt.wasm"),
        "initial": ABI.memory.initial_pages,
        "maximum": ABI.memory.maximum_pages,
        "model": str(model),
        "size": size,
        "started": size if started is None else started,
        "prompt": prompt,
        "tokens": tokens,
        "mixes": [[]] if mixes is None else mixes,
        "exact": exact,
    }
    script = Path(__file__).parent / "team.mjs"
    done = subprocess.run(
        ["node", script, json.dumps(options)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [str(result["hash"]) for result in json.loads(done.stdout)]


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


@pytest.mark.parametrize("name", TINY)
def test_the_logits_do_not_depend_on_the_threads(name: str, tmp_path: Path) -> None:
    model = tiny(name, tmp_path)
    alone = evaluate(model, 1, prompt=45, tokens=3)
    for size in (2, 5):
        assert evaluate(model, size, prompt=45, tokens=3) == alone, f"{size} threads"


@pytest.mark.parametrize("name", ["gemma3", "qwen2-q4_1", "qwen2-q6_k"])
def test_exact_logits_do_not_depend_on_the_threads(name: str, tmp_path: Path) -> None:
    model = tiny(name, tmp_path)
    alone = evaluate(model, 1, prompt=24, tokens=3, exact=True)
    assert evaluate(model, 2, prompt=24, tokens=3, exact=True) == alone
    assert evaluate(model, 1, prompt=24, tokens=3) != alone


def mixes(model: TinyModel, folder: Path) -> list[Mix]:
    """None, one at several scales, several, and the first again."""
    every, law, tale = map(str, adapters(model, folder))
    return [
        [],
        [(every, 1.0)],
        [(every, 0.25)],
        [(tale, -1.5)],
        [(law, 0.5), (every, 0.75), (tale, 1.0)],
        [(every, 1.0)],
    ]


@pytest.mark.parametrize("name", ADAPTED)
def test_adapted_logits_do_not_depend_on_the_threads(name: str, tmp_path: Path) -> None:
    model = tiny(name, tmp_path)
    mix = mixes(TINY[name], tmp_path)
    alone = evaluate(model, 1, prompt=45, tokens=3, mixes=mix)
    assert len(set(alone)) == len(mix) - 1
    assert alone[1] == alone[-1]
    for size in (2, 3, 4, 8):
        assert evaluate(model, size, prompt=45, tokens=3, mixes=mix) == alone, f"{size} threads"
    assert evaluate(model, 4, started=2, prompt=45, tokens=3, mixes=mix) == alone
    with busy(3):
        assert evaluate(model, 4, prompt=45, tokens=3, mixes=mix) == alone


def test_threads_that_lose_their_cores_change_nothing() -> None:
    alone = evaluate(SMOLLM2, 1, prompt=150, tokens=20)
    with busy(3):
        assert evaluate(SMOLLM2, 8, prompt=150, tokens=20) == alone


def test_threads_that_never_come_are_not_waited_for() -> None:
    alone = evaluate(SMOLLM2, 1, prompt=40, tokens=3)
    assert evaluate(SMOLLM2, 4, started=2, prompt=40, tokens=3) == alone
