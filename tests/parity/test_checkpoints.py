"""Models whose layers recur: a state cannot be cut like a cache, so a session copies it where a
next turn may begin, and goes back to the copies. Whatever it reuses, logits are those from nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from slmweb.core import Instance, Model, Session
from tests.goldens.tiny_adapters import write_adapter_file
from tests.goldens.tiny_gguf import write_gguf
from tests.goldens.tiny_models import MODELS, sequence, uniform
from tests.parity.logits import assert_close, evaluate

NAMES = [name for name, model in MODELS.items() if model.n_taps]
BOUND = 1e-5  # of one arithmetic with itself, in other batches
N_CTX = 256


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recurrent")


@pytest.fixture(params=NAMES)
def model(core: Instance, folder: Path, request: pytest.FixtureRequest) -> Iterator[Model]:
    path = folder / f"{request.param}.gguf"
    if not path.exists():
        write_gguf(request.param, path)
    with Model.open(path, core=core) as opened:
        yield opened


def turn(session: Session, ids: list[int], n_answer: int) -> list[int]:
    """Reads a prompt as a chat does and answers greedily; what the session holds afterwards."""
    session.reuse(ids)
    rest = ids[session.n_past :]
    if rest[:-3]:
        session.eval(rest[:-3], "none")
    logits = session.eval(rest[-3:])
    answer = []
    for _ in range(n_answer):
        assert logits is not None
        answer.append(int(logits[-1].argmax()))
        logits = session.eval(answer[-1:])
    return ids + answer


def assert_as_from_nothing(model: Model, session: Session, ids: list[int]) -> None:
    with model.session(N_CTX, 64) as fresh:
        expected = evaluate(fresh, ids)
    found = evaluate(session, ids[session.n_past :])
    assert_close(found, expected[len(ids) - len(found) :], BOUND)


def test_a_next_turn_reads_only_what_is_new(model: Model) -> None:
    ids = sequence(MODELS[NAMES[0]], 90)
    with model.session(N_CTX, 64) as session:
        held = turn(session, ids[:40], 12)
        longer = held + ids[40:60]
        assert session.reuse(longer) == len(held)
        assert_as_from_nothing(model, session, longer)


def test_an_answer_that_is_told_otherwise_is_read_again(model: Model) -> None:
    """A template that changes an answer's text costs the answer, not the chat."""
    ids = sequence(MODELS[NAMES[0]], 90)
    with model.session(N_CTX, 64) as session:
        held = turn(session, ids[:40], 12)
        changed = held[:45] + ids[45:80]
        assert session.reuse(changed) == 40
        assert_as_from_nothing(model, session, changed)


def test_an_earlier_turn_is_edited(model: Model) -> None:
    """Back to the end of the answer before it, though two turns followed."""
    ids = sequence(MODELS[NAMES[0]], 90)
    with model.session(N_CTX, 64) as session:
        first = turn(session, ids[:30], 5)
        second = turn(session, first + ids[30:40], 5)
        turn(session, second + ids[40:50], 5)
        edited = first + ids[60:80]
        assert session.reuse(edited) == len(first)
        assert_as_from_nothing(model, session, edited)


def test_what_no_copy_covers_begins_anew(model: Model) -> None:
    ids = sequence(MODELS[NAMES[0]], 90)
    with model.session(N_CTX, 64) as session:
        turn(session, ids[:40], 5)
        other = ids[:20] + ids[50:80]
        assert session.reuse(other) == 0
        assert_as_from_nothing(model, session, other)


def test_the_same_prompt_again(model: Model) -> None:
    """Another answer to the second question: the first turn is not read again."""
    ids = sequence(MODELS[NAMES[0]], 90)
    with model.session(N_CTX, 64) as session:
        first = turn(session, ids[:30], 5)
        prompt = first + ids[30:45]
        turn(session, prompt, 8)
        assert session.reuse(prompt) == len(first)
        assert_as_from_nothing(model, session, prompt)


def test_memory_does_not_grow_with_the_context(model: Model) -> None:
    """Neither states nor windows, nor what is computed on the way."""
    if MODELS[str(model.info["name"]).removeprefix("tiny ")].window is None:
        pytest.skip("its other layers see everything, so their caches do grow")
    assert model.session_bytes(1024) == model.session_bytes(1 << 15)


def test_a_window_goes_on_over_every_border(model: Model) -> None:
    """One by one, where a window ends in one segment of attention and begins in another."""
    ids = [*sequence(MODELS[NAMES[0]], 96)] * 3
    with model.session(512, 64) as session, model.session(512, 64) as single:
        expected = evaluate(session, ids)
        single.eval(ids[:60], "none")
        found = [single.eval([token]) for token in ids[60:]]
        rows = np.concatenate([row for row in found if row is not None])
        assert_close(rows, expected[60:], BOUND)


def test_other_arithmetic_begins_anew(model: Model) -> None:
    ids = sequence(MODELS[NAMES[0]], 60)
    with model.session(N_CTX, 64) as session:
        turn(session, ids[:40], 5)
        session.exact()
        assert session.reuse(ids) == 0
        assert_as_from_nothing(model, session, ids)


def test_another_adapter_begins_anew(model: Model, tmp_path: Path) -> None:
    """A state that an adapter made is no state of the model without it."""
    tiny = MODELS[str(model.info["name"]).removeprefix("tiny ")]
    low, high = uniform("a", (4, tiny.n_embd)) * 0.2, uniform("b", (tiny.n_ff, 4)) * 0.2
    path = write_adapter_file(
        tmp_path / "adapter.gguf",
        {
            "blk.0.ffn_up.weight.lora_a": low.astype(np.float32),
            "blk.0.ffn_up.weight.lora_b": high.astype(np.float32),
        },
        architecture=tiny.arch,
    )
    ids = sequence(tiny, 60)
    with model.load_adapter(path) as adapter, model.session(N_CTX, 64) as session:
        plain = turn(session, ids[:30], 5)
        session.adapters([(adapter, 1.0)])
        assert session.reuse(plain + ids[30:50]) == 0
        adapted = turn(session, ids[:30], 5)
        assert session.reuse(adapted + ids[30:50]) == len(adapted)
        session.adapters([])
        assert session.reuse(plain + ids[30:50]) == 0
        assert_as_from_nothing(model, session, plain + ids[30:50])
