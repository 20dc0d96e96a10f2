"""Perplexity against its definition, computed here from plain logits in float64."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from slmweb.core import Model, perplexity
from slmweb.errors import SlmError

TEXT = b"the hen and the otter are at the inn in the rain on the same old road. " * 3


def mean_nll(model: Model, windows: list[tuple[list[int], int]]) -> tuple[float, int]:
    """Mean negative log likelihood of tokens first+1... of each window, and their count."""
    total, count = 0.0, 0
    for ids, first in windows:
        with model.session(len(ids), n_batch=len(ids)) as session:
            rows = np.concatenate(list(session.logits(ids))).astype(np.float64)
        rows -= rows.max(axis=1, keepdims=True)
        logs = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
        for position in range(first, len(ids) - 1):
            total -= logs[position, ids[position + 1]]
            count += 1
    return total / count, count


@pytest.mark.parametrize("name", ["llama", "qwen2", "gemma3"])
def test_one_window_predicts_every_token_but_the_first(
    name: str, request: pytest.FixtureRequest
) -> None:
    with Model.open(request.getfixturevalue(name)) as model:
        ids = model.tokenizer.encode(TEXT, special=False)
        mean, count = mean_nll(model, [(ids, 0)])
        result = perplexity(model, TEXT)
    assert result.tokens == count == len(ids) - 1
    assert result.windows == 1
    assert math.isclose(result.perplexity, math.exp(mean), rel_tol=1e-4)


@pytest.mark.parametrize("name", ["llama", "qwen2"])
@pytest.mark.parametrize("n_ctx", [16, 25, 32])
def test_windows_begin_with_bos_and_predict_their_second_half(
    name: str, n_ctx: int, request: pytest.FixtureRequest
) -> None:
    with Model.open(request.getfixturevalue(name)) as model:
        ids = model.tokenizer.encode(TEXT, special=False)
        windows = []
        for start in range(0, len(ids) // n_ctx * n_ctx, n_ctx):
            window = ids[start : start + n_ctx]
            if model.info["add_bos"]:
                window[0] = model.info["bos"] or 0
            windows.append((window, n_ctx // 2))
        mean, count = mean_nll(model, windows)
        result = perplexity(model, TEXT, n_ctx=n_ctx)
    assert (result.tokens, result.windows) == (count, len(ids) // n_ctx)
    assert count == len(windows) * (n_ctx - n_ctx // 2 - 1)
    assert math.isclose(result.perplexity, math.exp(mean), rel_tol=1e-4)


def test_special_tokens_in_the_text_are_text(qwen2: Path) -> None:
    with Model.open(qwen2) as model:
        text = b"<|im_start|><|im_end|>"
        expected = len(model.tokenizer.encode(text, special=False)) - 1
        assert perplexity(model, text).tokens == expected > 10


def test_progress_ends_at_the_total(qwen2: Path) -> None:
    seen: list[tuple[int, int]] = []
    with Model.open(qwen2) as model:
        perplexity(model, TEXT, n_ctx=32, progress=lambda done, total: seen.append((done, total)))
    dones = [done for done, _ in seen]
    assert dones == sorted(dones)
    assert 0 < dones[-1] <= seen[-1][1]


@pytest.mark.parametrize(("text", "n_ctx"), [(b"", None), (b"e", None), (TEXT, 3)])
def test_nothing_to_predict_is_an_error(qwen2: Path, text: bytes, n_ctx: int | None) -> None:
    with Model.open(qwen2) as model, pytest.raises(SlmError) as caught:
        perplexity(model, text, n_ctx=n_ctx)
    assert caught.value.code == "invalid_argument"
