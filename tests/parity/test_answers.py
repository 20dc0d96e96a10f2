"""Models with an encoder and a decoder against transformers: the encoder reads a prompt whole,
whatever it comes in, and every logit of an answer behind it is transformers', far beyond the
windows of both. What such a model cannot be asked for is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from slmweb.core import Instance, Model, Sampling, Session
from slmweb.errors import SlmError
from tests.goldens.tiny_gguf import write_gguf
from tests.goldens.tiny_models import ANSWERS, ENCODER_DECODERS, answer, digest, sequence
from tests.parity.logits import F32, assert_close

GOLDENS = Path(__file__).parents[1] / "goldens" / "answers"
BOUND = 2e-5
N_CTX = 128
NAMES = list(ENCODER_DECODERS)


@cache
def golden(name: str, n: int) -> F32:
    """Logits behind an answer's first token and behind each that is given, to a prompt of `n`."""
    with np.load(GOLDENS / f"{name}.npz") as file:
        assert digest(ENCODER_DECODERS[name]) == str(file["weights_sha256"]), (
            f"the weights drawn for {name} are not those of its golden; if they changed on "
            'purpose, run `make goldens ARGS="answers"`'
        )
        logits: F32 = file[f"{n}.logits"]
        return logits


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("answers")


@pytest.fixture(params=NAMES)
def model(core: Instance, folder: Path, request: pytest.FixtureRequest) -> Iterator[Model]:
    path = folder / f"{request.param}.gguf"
    if not path.exists():
        write_gguf(request.param, path)
    with Model.open(path, core=core) as opened:
        yield opened


def told(session: Session, prompt: list[int], given: list[int], n_batch: int) -> F32:
    """The logits of an answer that is given, to a prompt that comes `n_batch` tokens at a time."""
    assert session.reuse(prompt) == 0
    last = (len(prompt) - 1) // n_batch * n_batch
    for start in range(0, last, n_batch):
        session.eval(prompt[start : start + n_batch], "none")
    rows = [session.eval(prompt[last:]), *(session.eval([token]) for token in given)]
    return np.concatenate([row for row in rows if row is not None])


def name_of(model: Model) -> str:
    return str(model.info["name"]).removeprefix("tiny ")


@pytest.mark.parametrize("n_batch", [96, 7])
@pytest.mark.parametrize(("n", "n_answer"), ANSWERS)
def test_answers(model: Model, n: int, n_answer: int, n_batch: int) -> None:
    tiny = ENCODER_DECODERS[name_of(model)]
    with model.session(N_CTX, n_batch) as session:
        found = told(session, sequence(tiny, n), answer(tiny, n_answer), n_batch)
        assert session.n_past == n + n_answer
    assert_close(found, golden(tiny.name, n), BOUND)


def test_the_next_prompt_is_read_anew(model: Model) -> None:
    """What the cache holds of a longer one, its rings among it, is nobody's any more."""
    tiny = ENCODER_DECODERS[name_of(model)]
    with model.session(N_CTX, 32) as session:
        for n, n_answer in (*ANSWERS, ANSWERS[0]):
            found = told(session, sequence(tiny, n), answer(tiny, n_answer), 32)
            assert_close(found, golden(tiny.name, n), BOUND)


def test_a_context_that_is_just_long_enough(model: Model) -> None:
    """What every answer begins with is no token of the context's."""
    tiny = ENCODER_DECODERS[name_of(model)]
    (n, n_answer), *_ = ANSWERS
    with model.session(n + n_answer, 64) as session:
        found = told(session, sequence(tiny, n), answer(tiny, n_answer), 64)
        assert_close(found, golden(tiny.name, n), BOUND)
        with pytest.raises(SlmError, match="the context is full: 102 tokens are needed"):
            session.eval([5])
        session.reuse([])
        session.eval([5] * 60, "none")
        with pytest.raises(SlmError, match="the context is full: 120 tokens are needed"):
            session.eval([5] * 60)
    with model.session(9000, 8192) as session:
        session.eval([5] * 8192, "none")
        with pytest.raises(SlmError, match="a prompt of 8193 tokens is more than the 8192"):
            session.eval([5], "none")


def test_an_exact_session(model: Model) -> None:
    tiny = ENCODER_DECODERS[name_of(model)]
    (n, n_answer), *_ = ANSWERS
    with model.session(N_CTX, 64) as session:
        session.exact()
        found = told(session, sequence(tiny, n), answer(tiny, n_answer), 64)
    assert_close(found, golden(tiny.name, n), BOUND)


def test_generates(model: Model) -> None:
    """Greedily what the logits say."""
    tiny = ENCODER_DECODERS[name_of(model)]
    prompt = sequence(tiny, 61)
    with model.session(N_CTX, 16) as session:
        made = session.generate(prompt, Sampling(temperature=0), max_tokens=12)
        for _ in made:
            pass
        written = made.ids
        logits = told(session, prompt, written, 16)
    assert len(written) == 12 or written[-1] in model.info["eog"]
    assert written == logits.argmax(axis=1)[: len(written)].tolist()


def test_what_it_cannot_be_asked_for(model: Model) -> None:
    assert model.info["encoder_decoder"]
    n_embd = model.info["n_embd"] or 0
    with model.session(N_CTX, 64) as session:
        with pytest.raises(SlmError, match="makes no logits; those of its last token"):
            session.eval([1, 2, 3], "all")
        with pytest.raises(SlmError, match="generates text and embeds none"):
            session.embed([1, 2, 3])
        with pytest.raises(SlmError, match="can be looked into and steered"):
            session.lens(np.zeros((1, n_embd), np.float32))
        with pytest.raises(SlmError, match="can be looked into and steered"):
            session.steer(0, np.ones(n_embd, np.float32))
        session.eval([1, 2, 3])
        with pytest.raises(SlmError, match=r"2 tokens behind a prompt .* an answer one by one"):
            session.eval([4, 5])
