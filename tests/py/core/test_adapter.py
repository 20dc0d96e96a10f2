"""Adapters that are refused, each with a sentence that names what is wrong, and what
loaded ones promise a session. What they compute is tests/parity's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slmweb.core import Adapter, Model, Sampling, Session
from slmweb.errors import SlmError
from tests.goldens.tiny_adapters import LAW, TALE, write_adapter, write_adapter_file
from tests.goldens.tiny_models import F32, MODELS

LLAMA = MODELS["llama"]
IDS = [5, 17, 40, 41, 42, 9, 9, 80]


def ones(*shape: int) -> F32:
    return np.ones(shape, np.float32)


Q = {"blk.0.attn_q.weight.lora_a": ones(4, 64), "blk.0.attn_q.weight.lora_b": ones(64, 4)}


@pytest.fixture(scope="module")
def model(llama: Path) -> Iterator[Model]:
    with Model.open(llama) as opened:
        yield opened


@pytest.fixture(scope="module")
def law(model: Model, model_folder: Path) -> Iterator[Adapter]:
    with model.load_adapter(write_adapter(LLAMA, LAW, model_folder / "law.gguf")) as adapter:
        yield adapter


@pytest.fixture
def session(model: Model) -> Iterator[Session]:
    with model.session(64) as opened:
        yield opened


def logits(session: Session, adapters: list[tuple[Adapter, float]]) -> F32:
    session.adapters(adapters)
    session.reuse(IDS[:1])  # forgets everything
    return np.concatenate(list(session.logits(IDS)))


def without(name: str) -> dict[str, F32]:
    return {key: values for key, values in Q.items() if not key.endswith(name)}


# What is written otherwise than it should be -> words of the sentence.
REFUSED: dict[str, tuple[dict[str, Any], dict[str, F32], tuple[str, ...]]] = {
    "a model": ({"general_type": "model"}, Q, ("'general.type' is 'model'", "'adapter'")),
    "no type": ({"general_type": None}, Q, ("'general.type' is 'missing'",)),
    "another method": ({"adapter_type": "ia3"}, Q, ("'adapter.type' is 'ia3'", "'lora'")),
    "another architecture": (
        {"architecture": "gemma2"},
        Q,
        ("'general.architecture' is 'gemma2'", "'llama'"),
    ),
    "no alpha": ({"alpha": None}, Q, ("'adapter.lora.alpha' is missing",)),
    "alpha 0": ({"alpha": 0.0}, Q, ("'adapter.lora.alpha' is not above zero",)),
    "alpha NaN": ({"alpha": float("nan")}, Q, ("'adapter.lora.alpha'", "NaN")),
    "alpha infinite": ({"alpha": float("inf")}, Q, ("'adapter.lora.alpha'", "infinity")),
    "no tensors": ({}, {}, ("no tensors",)),
    "an unknown tensor": (
        {},
        {"blk.7.attn_q.weight.lora_a": ones(4, 64)},
        ("'blk.7.attn_q.weight.lora_a'", "base model"),
    ),
    "a vector": (
        {},
        {"blk.0.attn_norm.weight.lora_a": ones(4, 64)},
        ("'blk.0.attn_norm.weight.lora_a'", "matrix of the base model"),
    ),
    "another ending": (
        {},
        {"blk.0.attn_q.weight": ones(4, 64)},
        ("'blk.0.attn_q.weight'", "'.lora_a'"),
    ),
    "the embedding as if it were multiplied": (
        {},
        {"token_embd.weight.lora_a": ones(4, 64), "token_embd.weight.lora_b": ones(307, 4)},
        ("'token_embd.weight.lora_a' has the shape 64 x 4", "64 x 307"),
    ),
    "the embedding's A alone": (
        {},
        {"token_embd.weight.lora_a": ones(307, 4)},
        ("'token_embd.weight'", "ranks 4 (lora_a) and 0 (lora_b"),
    ),
    "no A": ({}, without("_a"), ("'blk.0.attn_q.weight'", "ranks 0 (lora_a) and 4 (lora_b")),
    "no B": ({}, without("_b"), ("'blk.0.attn_q.weight'", "ranks 4 (lora_a) and 0 (lora_b")),
    "two ranks": (
        {},
        {**Q, "blk.0.attn_q.weight.lora_b": ones(64, 5)},
        ("'blk.0.attn_q.weight'", "4 (lora_a) and 5 (lora_b"),
    ),
    "A too narrow": (
        {},
        {**Q, "blk.0.attn_q.weight.lora_a": ones(4, 32)},
        ("'blk.0.attn_q.weight.lora_a' has the shape 32 x 4", "64 x 64"),
    ),
    "B too short": (
        {},
        {**Q, "blk.0.attn_q.weight.lora_b": ones(60, 4)},
        ("'blk.0.attn_q.weight.lora_b' has the shape 4 x 60", "64 x 64"),
    ),
    "a third dimension": (
        {},
        {**Q, "blk.0.attn_q.weight.lora_a": ones(2, 4, 64)},
        ("'blk.0.attn_q.weight.lora_a'", "64 x 64"),
    ),
    "a rank beyond reason": (
        {},
        {"blk.0.attn_q.weight.lora_a": ones(5000, 64)},
        ("rank 5000", "4096"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_field_is_named(model: Model, tmp_path: Path, case: str) -> None:
    options, tensors, words = REFUSED[case]
    path = write_adapter_file(tmp_path / "wrong.gguf", tensors, **options)
    with pytest.raises(SlmError) as caught:
        model.load_adapter(path)
    assert caught.value.code in ("bad_file", "unsupported")
    for word in (str(path), *words):
        assert word in caught.value.message


def test_a_file_cut_short(model: Model, tmp_path: Path) -> None:
    whole = write_adapter(LLAMA, LAW, tmp_path / "whole.gguf").read_bytes()
    cut = tmp_path / "cut.gguf"
    for n in (0, 3, 24, 100, len(whole) // 2, len(whole) - 1):
        cut.write_bytes(whole[:n])
        with pytest.raises(SlmError) as caught:
            model.load_adapter(cut)
        assert caught.value.code == "bad_file"
        assert str(cut) in caught.value.message


def test_a_missing_file(model: Model, tmp_path: Path) -> None:
    with pytest.raises(SlmError, match="cannot read") as caught:
        model.load_adapter(tmp_path / "none.gguf")
    assert caught.value.code == "unreadable"


def test_an_adapter_is_no_model(tmp_path: Path) -> None:
    path = write_adapter(LLAMA, LAW, tmp_path / "adapter.gguf")
    with pytest.raises(SlmError, match="adapter for a llama model") as caught:
        Model.open(path)
    assert caught.value.code == "unsupported"


def test_what_an_adapter_says_of_itself(law: Adapter) -> None:
    assert (law.info["name"], law.info["rank"]) == ("tiny law", 3)
    assert len(law.info["tensors"]) == 2 * 7 * LLAMA.n_layer
    floats = sum(np.prod(tensor["shape"]) for tensor in law.info["tensors"])
    # Rows are packed in fours, and the rank is 3.
    assert 4 * floats <= law.info["packed_bytes"] <= 6 * floats


def test_progress_counts_every_byte(model: Model, tmp_path: Path) -> None:
    path = write_adapter(LLAMA, TALE, tmp_path / "tale.gguf")
    seen: list[tuple[int, int]] = []
    with model.load_adapter(path, progress=lambda *report: seen.append(report)) as adapter:
        total = sum(tensor["size"] for tensor in adapter.info["tensors"])
    assert seen[-1] == (total, total)


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), -float("inf")])
def test_a_scale_is_finite(session: Session, law: Adapter, scale: float) -> None:
    before = logits(session, [(law, 0.5)])
    with pytest.raises(SlmError, match="finite scale") as caught:
        session.adapters([(law, scale)])
    assert caught.value.code == "invalid_argument"
    # On error nothing changes.
    assert session.reuse(IDS) == len(IDS) - 1
    assert (before == logits(session, [(law, 0.5)])).all()


def test_an_adapter_is_named_once(session: Session, law: Adapter) -> None:
    with pytest.raises(SlmError, match="named once"):
        session.adapters([(law, 0.5), (law, 0.5)])


def test_an_adapter_belongs_to_its_model(law: Adapter, llama: Path) -> None:
    with (
        Model.open(llama, core=law.core) as other,
        other.session(16) as session,
        pytest.raises(SlmError, match="of this session's model"),
    ):
        session.adapters([(law, 1.0)])


def test_an_adapter_needs_its_base(model: Model, llama: Path, tmp_path: Path) -> None:
    path = write_adapter(LLAMA, LAW, tmp_path / "law.gguf")
    with Model.open(llama, weights=False) as bare:
        with pytest.raises(SlmError, match="not laid out yet") as caught:
            bare.load_adapter(path)
        assert caught.value.code == "wrong_state"
        bare.layout()  # is enough to check one
        assert Adapter.check(bare, path)["rank"] == 3


def test_a_closed_adapter_is_not_used_anew(
    model: Model, session: Session, law: Adapter, tmp_path: Path
) -> None:
    expected = logits(session, [(law, 1.0)])
    again = model.load_adapter(write_adapter(LLAMA, LAW, tmp_path / "law.gguf"))
    session.adapters([(again, 1.0)])
    again.close()
    again.close()
    # The session has its share of it until it uses others.
    session.reuse(IDS)
    assert (np.concatenate(list(session.logits(IDS))) == expected).all()
    with pytest.raises(SlmError, match="closed"):
        session.adapters([(again, 1.0)])


def test_an_equal_adapter_is_another_one(
    model: Model, session: Session, law: Adapter, tmp_path: Path
) -> None:
    """A cache filled by an adapter that is gone is not taken for that of its successor."""
    logits(session, [(law, 1.0)])
    with model.load_adapter(write_adapter(LLAMA, LAW, tmp_path / "law.gguf")) as again:
        session.adapters([(again, 1.0)])
        assert session.reuse(IDS) == 0
        session.adapters([])


def test_memory_comes_back(llama: Path, tmp_path: Path) -> None:
    path = write_adapter(LLAMA, LAW, tmp_path / "law.gguf")
    with Model.open(llama) as model, model.session(16) as session:
        for round_ in range(30):
            with model.load_adapter(path) as adapter:
                session.adapters([(adapter, 1.0)])
                session.reuse(IDS)
                session.eval(IDS)
            if round_ == 2:
                settled = model.core.memory_bytes
        assert model.core.memory_bytes == settled


def test_generation_changes_and_comes_back(session: Session, law: Adapter) -> None:
    greedy = Sampling(temperature=0, ignore_eog=True)

    def generated(adapters: list[tuple[Adapter, float]]) -> list[int]:
        session.adapters(adapters)
        answer = session.generate(IDS, greedy, max_tokens=12)
        list(answer)
        return answer.ids

    base = generated([])
    assert generated([(law, 1.0)]) != base
    assert generated([]) == base
