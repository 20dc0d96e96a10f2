"""Token ids against llama.cpp's, text by text, under every vocabulary of the
goldens: special tokens parsed and literal, with and without BOS; and the bytes
that come of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from slmweb.core import Instance, Model
from tests.goldens.vocabularies import TOKENS, VOCABULARIES, corpus, write_vocabulary

TEXTS = {case.name: case.text for case in corpus()}


@cache
def golden(name: str) -> list[list[Any]]:
    cases: list[list[Any]] = json.loads((TOKENS / f"{name}.json").read_text())["cases"]
    assert [case[0] for case in cases] == list(TEXTS), (
        "the corpus is not the one that the goldens were made of; run `make goldens`"
    )
    return cases


@pytest.fixture(scope="module")
def core() -> Instance:
    """One variant is enough: nothing of a tokenizer is vectorized by hand."""
    return Instance("relaxed")


@pytest.fixture(scope="module", params=VOCABULARIES)
def vocabulary(
    request: pytest.FixtureRequest,
    core: Instance,
    real_model: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Model, list[list[Any]]]]:
    chosen = VOCABULARIES[request.param]
    source = real_model(chosen.source) if chosen.is_real else None
    path = tmp_path_factory.mktemp("vocabulary") / "vocabulary.gguf"
    write_vocabulary(chosen, source, path)
    with Model.open(path, weights=False, core=core) as model:
        yield model, golden(request.param)


def test_ids(vocabulary: tuple[Model, list[list[Any]]]) -> None:
    model, cases = vocabulary
    wrong = []
    for name, *expected in cases:
        text = TEXTS[name]
        literal = model.tokenizer.encode(text, special=False, bos=False)
        parsed = model.tokenizer.encode(text, special=True, bos=False)
        if not expected:  # llama.cpp aborts on it
            continue
        if [literal, parsed] != expected[:2]:
            wrong.append(name)
        before = expected[2]
        assert model.tokenizer.encode(text, special=False) == before + expected[0], name
        assert model.tokenizer.encode(text, special=True) == before + expected[1], name
    assert not wrong


def test_bytes_of_ids(vocabulary: tuple[Model, list[list[Any]]]) -> None:
    model, cases = vocabulary
    for name, *expected in cases:
        if len(expected) < 5:
            continue
        for special, ids, text in ((False, *expected[0::3]), (True, *expected[1::3])):
            wanted = TEXTS[name] if text is None else bytes.fromhex(text)
            assert model.tokenizer.decode(ids, special=special) == wanted, name


def test_text_that_llama_cpp_cannot_read(vocabulary: tuple[Model, list[list[Any]]]) -> None:
    """Bytes beyond Unicode are tokenized all the same, to ids of the vocabulary."""
    model, _ = vocabulary
    ids = model.tokenizer.encode(TEXTS["beyond unicode"], special=False)
    n_vocab = model.info["n_vocab"]
    assert n_vocab is not None
    assert ids
    assert all(0 <= token < n_vocab for token in ids)
