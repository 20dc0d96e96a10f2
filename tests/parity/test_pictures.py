"""Models that see pictures against transformers: what the encoder makes of pixels, and the
logits of prompts with pictures, of checkpoints that transformers saved and `convert` took.
The bound on the norm is a tenth of the issue's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slmweb.convert import convert
from slmweb.core import Instance, Model, Session, Vision, loading
from slmweb.errors import SlmError
from slmweb.plan.encoder import from_gguf
from tests.goldens import tiny_pictures as tiny
from tests.goldens.tiny_pictures import VISIONS, TinyVision
from tests.parity.logits import F32, assert_close
from tests.py.convert import checkpoints
from tests.py.models import with_tensors

BOUND = 1e-5
N_CTX = 256
ANSWER = [7, 11, 13]


@dataclass(frozen=True)
class Expected:
    ids: list[int]
    at: list[int]
    pictures: list[Any]
    features: list[F32]
    logits: F32  # of the prompt, and of ANSWER


@cache
def expected(name: str) -> Expected:
    vision = VISIONS[name]
    model = tiny.transformers_vision(vision)
    pictures = [tiny.picture(vision, f"{name} {i}", i) for i in range(2)]
    if vision.kind == "paligemma":
        pictures = pictures[:1]
    ids, at = tiny.prompt(vision, len(pictures))
    features = tiny.transformers_features(model, vision, pictures)
    logits = tiny.transformers_logits(model, vision, ids, pictures, ANSWER)
    return Expected(ids, at, pictures, features, logits)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures")


def converted(folder: Path, vision: TinyVision) -> tuple[Path, Path]:
    """The two files of a model, in float32."""
    out = folder / f"{vision.name}.gguf"
    if not out.exists():
        model = tiny.transformers_vision(vision)
        tokenizer = checkpoints.tokenizer_of(vision.text)
        saved = checkpoints.save(folder / vision.name, model, tokenizer)
        result = convert(saved, out, type="f32")
        assert result.vision == folder / f"mmproj-{vision.name}.gguf"
        assert not result.notes
    return out, folder / f"mmproj-{vision.name}.gguf"


@pytest.fixture
def opened(
    folder: Path, core: Instance, request: pytest.FixtureRequest
) -> Iterator[tuple[Model, Vision]]:
    name: str = request.getfixturevalue("name")
    text, mmproj = converted(folder, VISIONS[name])
    with Model.open(text, core=core) as model, model.load_vision(mmproj) as vision:
        yield model, vision


@pytest.mark.parametrize("name", VISIONS)
def test_what_the_encoder_makes_of_a_picture(opened: tuple[Model, Vision], name: str) -> None:
    _, vision = opened
    want = expected(name)
    for i, rgb in enumerate(want.pictures):
        with vision.encode(rgb) as picture:
            assert_close(picture.rows(), want.features[i], BOUND)


@pytest.mark.parametrize("name", VISIONS)
def test_an_encoder_in_the_smallest_pieces(
    folder: Path, core: Instance, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As hosts with little memory feed it; a convolution's granule is a matrix's as it is used."""
    monkeypatch.setattr(loading, "STAGING", 1)
    text, mmproj = converted(folder, VISIONS[name])
    want = expected(name)
    with Model.open(text, core=core) as model, model.load_vision(mmproj) as vision:
        patches = next(t for t in vision.info["tensors"] if t["name"] == "v.patch_embd.weight")
        side, _, colours, _ = patches["shape"]
        assert patches["granule"] == 4 * colours * side**2 * 4  # four rows of float32
        assert patches["size"] > 2 * patches["granule"]
        with vision.encode(want.pictures[0]) as picture:
            assert_close(picture.rows(), want.features[0], BOUND)


@pytest.mark.parametrize("name", VISIONS)
def test_a_prompt_with_pictures_and_an_answer(opened: tuple[Model, Vision], name: str) -> None:
    model, vision = opened
    want = expected(name)
    shown = [vision.encode(rgb) for rgb in want.pictures]
    with model.session(N_CTX, N_CTX) as session:
        session.pictures(shown, want.at)
        for picture in shown:
            picture.close()  # the session keeps them
        assert_close(
            logits(session, [want.ids, *[[token] for token in ANSWER]]), want.logits, BOUND
        )


@pytest.mark.parametrize("name", [name for name in VISIONS if "paligemma" not in name])
def test_a_prompt_in_pieces(opened: tuple[Model, Vision], name: str) -> None:
    """No picture is cut that must not be, and rings have gone around."""
    model, vision = opened
    want = expected(name)
    whole = vision.info["whole_picture"]
    with model.session(N_CTX, vision.info["n_tokens"] if whole else 5) as session:
        session.pictures([vision.encode(rgb) for rgb in want.pictures], want.at)
        assert session.prefill(want.ids) == 0
        last = len(want.ids) - 1
        assert_close(session.last_logits()[None], want.logits[last : last + 1], BOUND)


@pytest.mark.parametrize("name", [name for name in VISIONS if "paligemma" not in name])
def test_what_the_cache_holds_of_pictures(opened: tuple[Model, Vision], name: str) -> None:
    model, vision = opened
    want = expected(name)
    first, second = (vision.encode(rgb) for rgb in want.pictures)
    n, (at, then), ids = second_n(name), want.at, want.ids
    inside = then if vision.info["whole_picture"] else then + n // 2 - 1
    with model.session(N_CTX, N_CTX) as session:
        session.pictures([first, second], want.at)
        logits(session, [ids])
        assert session.reuse([*ids, 1]) == len(ids)
        # Within a picture that is whole nothing is kept of it.
        assert session.reuse(ids[: then + n // 2]) == inside
        assert_close(logits(session, [ids[inside:]]), want.logits[inside : len(ids)], BOUND)
        # Another picture in its place, then none.
        session.pictures([first, vision.encode(want.pictures[1])], want.at)
        assert session.reuse(ids) == then
        logits(session, [ids[then:]])
        session.pictures([], [])
        assert session.reuse(ids) == at
        logits(session, [ids[at:]])
        session.pictures([first, second], want.at)
        assert session.reuse(ids) == at
        assert_close(logits(session, [ids[at:]]), want.logits[at : len(ids)], BOUND)


def second_n(name: str) -> int:
    return VISIONS[name].n_tokens_of(1)


def logits(session: Session, evaluations: list[list[int]]) -> F32:
    """Of every position of these evaluations."""
    rows = []
    for ids in evaluations:
        found = session.eval(ids, "all")
        assert found is not None
        rows.append(found)
    return np.concatenate(rows)


def refused(action: Any, code: str, *words: str) -> None:
    with pytest.raises(SlmError) as raised:
        action()
    assert raised.value.code == code
    for word in words:
        assert word in raised.value.message


@pytest.mark.parametrize("name", ["gemma3-pictures"])
def test_what_is_refused(opened: tuple[Model, Vision], name: str) -> None:
    model, vision = opened
    want = expected(name)
    n, (at, then) = vision.info["n_tokens"], want.at
    first, second = (vision.encode(rgb) for rgb in want.pictures)
    with model.session(N_CTX, N_CTX) as session:
        refused(lambda: session.pictures([first, second], [then, at]), "invalid_argument", "order")
        refused(lambda: session.pictures([first, second], [at, at + n - 1]), "invalid_argument")
        refused(lambda: session.pictures([first], [N_CTX - n + 1]), "context_full", str(N_CTX))
        session.pictures([first], [at])
        refused(lambda: session.eval(want.ids[: at + 3]), "invalid_argument", "whole")
        assert session.n_past == 0
        session.eval(want.ids[:at])
        refused(lambda: session.eval(want.ids[at : at + n - 1]), "invalid_argument", "whole")
        session.eval(want.ids[at : at + n])
    with model.session(N_CTX, n - 1) as session:
        refused(lambda: session.pictures([first], [at]), "invalid_argument", str(n - 1))
    rgb = want.pictures[0]
    refused(lambda: vision.encode(rgb[1:]), "invalid_argument", str(rgb.shape[0]))


def test_what_hears_in_the_same_file_is_left_out(
    folder: Path, core: Instance, tmp_path: Path
) -> None:
    """As llama.cpp's files of Gemma 4 have it."""
    text, mmproj = converted(folder, VISIONS["gemma4-pictures"])
    ears = {
        name: np.ones((4, 32), np.float32) for name in ("a.blk.0.ffn_up.weight", "mm.a.fc.weight")
    }
    file = with_tensors(mmproj, tmp_path / "mmproj.gguf", ears)
    want = expected("gemma4-pictures")
    with Model.open(text, core=core) as model, model.load_vision(file) as vision:
        found = {tensor["name"]: tensor for tensor in vision.info["tensors"]}
        assert not any("granule" in found[name] for name in ears)
        with vision.encode(want.pictures[1]) as picture:
            assert_close(picture.rows(), want.features[1], BOUND)
    encoder = from_gguf(file)
    assert encoder is not None
    assert not ears.keys() & {tensor.name for tensor in encoder.tensors}


@pytest.mark.parametrize("name", ["gemma4-pictures"])
def test_sides_that_are_refused(opened: tuple[Model, Vision], name: str) -> None:
    _, vision = opened
    rgb = expected(name).pictures[0]
    refused(lambda: vision.encode(rgb[1:]), "invalid_argument", "multiples of 24")
    long = np.zeros((24, 24 * 22, 3), np.uint8)  # the table has 64 columns of 8 pixels
    refused(lambda: vision.encode(long), "invalid_argument", "up to 512")
    refused(lambda: vision.encode(rgb[:0]), "invalid_argument")
    with vision.encode(rgb[:48, :24]) as picture:
        assert picture.n_tokens == len(picture.rows()) == 2


@pytest.mark.parametrize("name", ["paligemma2"])
def test_a_prompt_that_is_seen_whole(opened: tuple[Model, Vision], name: str) -> None:
    model, vision = opened
    want = expected(name)
    assert vision.info["whole_prompt"]
    with model.session(N_CTX, N_CTX) as session:
        session.pictures([vision.encode(rgb) for rgb in want.pictures], want.at)
        logits(session, [want.ids, ANSWER[:1], ANSWER[1:2]])
        # Behind the prompt an answer goes on; a prompt that changes is another one.
        n = len(want.ids)
        assert session.reuse([*want.ids, ANSWER[0], 5]) == n + 1
        assert session.reuse([*want.ids[:-1], 5, 5]) == 0
        refused(lambda: session.eval(want.ids[:3]), "invalid_argument", "all at once")
        found = logits(session, [want.ids, *[[token] for token in ANSWER]])
        assert_close(found, want.logits, BOUND)


@pytest.mark.parametrize("name", ["paligemma"])
def test_a_prompt_that_is_seen_whole_may_be_long(opened: tuple[Model, Vision], name: str) -> None:
    """A picture of 896 pixels takes 4,096 positions, and its question comes behind them."""
    model, vision = opened
    want = expected(name)
    with model.session(8192, 8192) as session:
        session.pictures([vision.encode(rgb) for rgb in want.pictures], want.at)
        assert_close(logits(session, [want.ids, *[[t] for t in ANSWER]]), want.logits, BOUND)
        assert session.reuse([]) == 0
        long = [*want.ids, *(want.ids[-20:] * 220)]
        assert len(long) > 4096
        rows = session.eval(long)
        assert rows is not None
        assert np.isfinite(rows).all()
    refused(lambda: model.session_bytes(8193, 8193), "invalid_argument", "8192")


def test_an_encoder_of_another_model(folder: Path, core: Instance) -> None:
    text, _ = converted(folder, VISIONS["gemma3-pictures"])
    other = converted(folder, VISIONS["paligemma"])[1]
    with Model.open(text, core=core) as model:
        refused(lambda: model.load_vision(other), "bad_file", "paligemma", "gemma3")
        refused(lambda: model.load_vision(text), "bad_file", "clip", "mmproj")
        refused(lambda: Model.open(other, core=core), "unsupported", "encoder")
