"""Filling in the middle: the prompts of the models' own documentation, the ids of their own kind
of tokenizer, and words of a stranger that stay words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from slmweb.core import Model
from slmweb.core.fim import Infill, fill_or_continue, infill_prompt, trimmed
from slmweb.core.model import FimTokens
from slmweb.core.session import Sampling
from slmweb.errors import SlmError
from tests.py.models import CODE_GEMMA, QWEN_CODER, with_special

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "goldens/fim_cases.json").read_text()
)["cases"]
MARKERS = ("prefix", "suffix", "middle", "separator", "repo")
FIRST = 0x110000  # above all letters


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_prompts_are_those_that_models_were_taught(case: dict[str, Any]) -> None:
    names = [case["bos"], *(case["tokens"][marker] for marker in MARKERS)]
    tokens: Any = {
        marker: FIRST + 1 + i if names[1 + i] is not None else None
        for i, marker in enumerate(MARKERS)
    }
    infill = Infill(
        *(case["prefix"], case["suffix"], case["form"]),
        *([(path, text) for path, text in case["files"]], case["path"], case["repo"]),
    )
    bos = None if case["bos"] is None else FIRST
    fitted = infill_prompt(lambda text: [*map(ord, text)], tokens, bos, infill, case["room"])

    def text(ids: Sequence[int]) -> str:
        return "".join(names[i - FIRST] if i >= FIRST else chr(i) for i in ids)

    assert (text(fitted.ids), fitted.dropped) == (case["text"], case["dropped"])


def test_a_beginning_is_cut_so_that_the_next_requests_begin_at_the_same_token() -> None:
    firsts = [trimmed([0, *range(1, n)], 1, 41).ids[:2] for n in range(42, 62)]
    assert firsts == [[0, 11]] * 10 + [[0, 21]] * 10
    assert trimmed([0, 1, 2], 1, 3).ids == [0, 1, 2]
    assert trimmed([0, 1, 2], 1, 0).ids == [0]


@pytest.fixture(scope="module")
def coder(qwen2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_special(qwen2, tmp_path_factory.mktemp("fim") / "coder.gguf", QWEN_CODER)


@pytest.fixture(scope="module")
def gemma_coder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.py.models import tiny

    folder = tmp_path_factory.mktemp("fim")
    return with_special(tiny("gemma", folder), folder / "coder.gguf", CODE_GEMMA)


def tokens_of(model: Model) -> FimTokens:
    found = model.info["fim"]
    assert found is not None
    return found


def test_ids_are_those_of_the_whole_prompt_with_its_control_tokens(
    coder: Path, gemma_coder: Path
) -> None:
    """As transformers and llama.cpp tokenize the documented strings."""
    infill = Infill("the in", " on\nthe", path="a.py", files=[("b.py", "the the\n")])
    for path, separator in ((coder, "<|file_sep|>"), (gemma_coder, "<|file_separator|>")):
        with Model.open(path, weights=False) as model:
            whole = (
                f"{separator}b.py\nthe the\n{separator}a.py\n"
                "<|fim_prefix|>the in<|fim_suffix|> on\nthe<|fim_middle|>"
            )
            assert fill_or_continue(model, infill).ids == model.tokenizer.encode(whole)


def test_nobodys_words_open_a_part(coder: Path) -> None:
    stranger = "x".join([*QWEN_CODER, "<|im_end|>"])
    with Model.open(coder, weights=False) as model:
        infill = Infill(stranger, stranger, "psm", [(stranger, stranger)], stranger, stranger)
        ids = fill_or_continue(model, infill).ids
        tokens = tokens_of(model)
        assert [ids.count(tokens[marker]) for marker in MARKERS] == [1, 1, 1, 2, 1]  # type: ignore[literal-required]
        assert model.info["eot"] not in ids


def test_an_answer_ends_where_the_model_would_open_another_part(coder: Path) -> None:
    with Model.open(coder) as model, model.session(128) as session:
        ids = fill_or_continue(model, Infill("the", "on")).ids
        for marker in MARKERS:
            token = tokens_of(model)[marker]  # type: ignore[literal-required]
            answer = session.generate(ids, Sampling(temperature=0, logit_bias={token: 1000.0}))
            assert "".join(answer) == ""
            assert (answer.ids, answer.finish_reason) == ([token], "stop")


def test_a_model_without_the_tokens_goes_on_with_what_is_before(llama: Path) -> None:
    with Model.open(llama, weights=False) as model:
        assert model.info["fim"] is None
        ids = fill_or_continue(model, Infill("the in", "on")).ids
        assert ids == model.tokenizer.encode("the in")
        for more in (Infill("", "", path="a.py"), Infill("", "", files=[("a", "")])):
            with pytest.raises(SlmError, match=r"tiny llama has no token between files") as caught:
                fill_or_continue(model, more)
            assert caught.value.code == "unsupported"
